import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

/** Runs a TypeScript file of the repository in an empty folder, like a user's program. */
async function runIn(dir: string, file: string, environment: Record<string, string> = {}) {
  const tsx = import.meta.resolve("tsx");
  const env = { ...process.env, ...environment };
  return run(process.execPath, ["--import", tsx, file], { cwd: dir, env });
}

describe("the README", () => {
  test.each(blocks("ts").map((code, index) => [index + 1, code] as const))(
    "its TypeScript block %i runs",
    async (index, code) => {
      await using db = await tempDatabase();
      // Inside the package, so that it can import the package by name, as if it were installed.
      const folder = `${root}dist/readme`;
      mkdirSync(folder, { recursive: true });
      const file = `${folder}/block-${index}-${process.pid}.ts`;
      writeFileSync(file, code);
      try {
        const { stderr } = await runIn(db.dir, file);
        expect(stderr).toBe("");
      } finally {
        rmSync(file);
      }
    },
  );

  test("begins with the two commands, and CI calls the second one word for word", () => {
    const [first, second] = blocks("sh")[0]!.trim().split("\n");
    expect(first).toBe("npm ci && npm start");
    // Without the exit, bash continues after a failed `npm ci`, even with `set -e`.
    expect(readFileSync(`${root}.ci/run`, "utf8").split("\n")).toContain(`${second} || exit 1`);
  });

  test("names every runtime dependency with its reason, and nothing else", () => {
    const { dependencies, peerDependencies } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
    const table = readme.slice(readme.indexOf("## Runtime dependencies"), readme.indexOf("## Known limitations"));
    const named = [...table.matchAll(/^\| `([^`]+)`.*\| .{10,} \|$/gm)].map((match) => match[1]);
    expect(named.sort()).toEqual([...Object.keys(dependencies), ...Object.keys(peerDependencies)].sort());
  });
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
