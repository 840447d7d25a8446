import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test("a server of a test ends with the test's process, also when that is killed", async () => {
  const file = fileURLToPath(new URL("../../support/children/start-server.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), file], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(child.stdout, "data");
  const server = Number(String(line).trim());
  expect(isRunning(server)).toBe(true);
  child.kill("SIGKILL");
  await expect.poll(() => isRunning(server), { timeout: 10_000 }).toBe(false);
});

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
