import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { tempDatabase } from "../support/temp.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const page = readFileSync(`${root}docs/migrations.md`, "utf8");
const blocks = [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);

test("every TypeScript block of the page is a program, or marked as a fragment", () => {
  expect(blocks.length).toBeGreaterThanOrEqual(4);
  expect([...page.matchAll(/^```(?!ts\n|ts fragment\n|\n)\S/gm)]).toEqual([]);
});

test.each(blocks.map((code, index) => [index + 1, code] as const))(
  "its TypeScript block %i runs",
  async (index, code) => {
    await using db = await tempDatabase();
    // Inside the package, so that it imports itself by name, as an installed one would.
    const folder = `${root}dist/migrations-page`;
    mkdirSync(folder, { recursive: true });
    const file = `${folder}/block-${index}-${process.pid}.ts`;
    writeFileSync(file, code);
    try {
      const run = promisify(execFile)(process.execPath, ["--import", import.meta.resolve("tsx"), file], {
        cwd: db.dir,
      });
      expect((await run).stderr).toBe("");
    } finally {
      rmSync(file);
    }
  },
);
