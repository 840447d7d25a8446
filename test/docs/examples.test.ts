import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { tempDatabase } from "../support/temp.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);

const files = readdirSync(`${root}examples`).filter((file) => file.endsWith(".ts"));

test.each(files.filter((file) => file !== "memvid.ts"))("examples/%s runs from start to end", async (file) => {
  await using db = await tempDatabase();
  const { stdout, stderr } = await run(process.execPath, ["--import", import.meta.resolve("tsx"), `examples/${file}`], {
    cwd: root,
    env: { ...process.env, HOLDFAST_DATA_DIR: db.dir },
  });
  expect(stderr).toBe("");
  expect(stdout).not.toBe("");
});

test("examples/memvid.ts: three processes put into one memory, and every note is found", async () => {
  await using db = await tempDatabase("notes.mv2");
  const args = ["--import", import.meta.resolve("tsx"), "examples/memvid.ts", db.path];
  const { stdout, stderr } = await run(process.execPath, args, { cwd: root });
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^150 frames, /);
  expect(stdout).toMatch(/\.mv2\n150 hits; the best:\n {2}\S+ {2}Bob\/\d+ /);
  expect(stdout.trim().split("\n").at(-1)).toBe("passed");
});
