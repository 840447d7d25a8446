import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);

/** The Bun binary. If install scripts are disabled, only the platform packages of `bun` have a binary. */
export function findBun(): string {
  const folder = join(root, "node_modules/@oven");
  const [platform] = readdirSync(folder).filter((name) => name.startsWith("bun-"));
  if (platform === undefined) throw new Error(`There is no Bun in ${folder}: run npm ci`);
  return join(folder, platform, "bin", process.platform === "win32" ? "bun.exe" : "bun");
}

/** The notes of a scenario that `runtime` has run. */
export async function play(runtime: "node" | "bun", scenario: string): Promise<[name: string, value: unknown][]> {
  const program = runtime === "bun" ? findBun() : process.execPath;
  const file = join(root, "test/bun/scenarios", scenario);
  const { stdout } = await run(program, [file], { cwd: root, maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as [string, unknown][];
}
