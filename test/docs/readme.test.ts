import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { tempDatabase } from "../support/temp.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const readme = readFileSync(`${root}README.md`, "utf8");
const run = promisify(execFile);

function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map((match) => match[1]!);
}

describe("the README", () => {
  test("begins with the two commands, and CI calls the second one word for word", () => {
    const [first, second] = blocks("sh")[0]!.trim().split("\n");
    expect(first).toBe("npm ci && npm start");
    // Without the exit, bash continues after a failed `npm ci`, even with `set -e`.
    expect(readFileSync(`${root}.ci/run`, "utf8").split("\n")).toContain(`${second} || exit 1`);
  });

  test("has at most 150 lines", () => {
    expect(readme.split("\n").length).toBeLessThanOrEqual(151);
  });
});

test("docs/architecture.md gives the reason of every runtime dependency", () => {
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
  const page = readFileSync(`${root}docs/architecture.md`, "utf8");
  const table = page.slice(page.indexOf("## Runtime dependencies"));
  const named = [...table.matchAll(/^\| `([^`]+)`.*\| .{10,} \|$/gm)].map((match) => match[1]);
  expect(named.sort()).toEqual([...Object.keys(dependencies), ...Object.keys(peerDependencies)].sort());
});

test("the first command's program stores the repository, finds its files, and stores nothing twice", async () => {
  await using db = await tempDatabase();
  const program = (...args: string[]) =>
    run(
      process.execPath,
      ["--import", import.meta.resolve("tsx"), "examples/remember.ts", "src/client/local/writer-queue.ts", ...args],
      {
        cwd: root,
        env: { ...process.env, HOLDFAST_DATA_DIR: db.dir },
      },
    );
  const first = await program();
  expect(first.stdout).toMatch(/Stored [1-9]\d* memories in \d+ ms/);
  expect(first.stdout).toMatch(/keyword +src\/client\/local\/writer-queue\.ts#/);
  expect(first.stdout).toMatch(/[1-9]\d* files depend on src\/client\/local\/writer-queue\.ts/);
  expect(first.stdout).toMatch(/src\/index\.ts -> .*src\/client\/local\/writer-queue\.ts\n/);
  const second = await program();
  expect(second.stdout).toMatch(/Stored 0 memories/);
  const talk = `${db.dir}/talk.json`;
  writeFileSync(talk, JSON.stringify([{ role: "user", content: "What is in src/client/local/writer-queue.ts?" }]));
  for (let round = 0; round < 2; round++) {
    const { stdout } = await program("--conversation", talk);
    expect(stdout).toMatch(/"talk\.json" holds 1 messages/);
    expect(stdout).toMatch(/keyword +1 user: What is in/);
  }
});
