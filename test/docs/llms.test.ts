import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { llmsText } from "../../scripts/llms.js";
import { tempDatabase } from "../support/temp.js";

test("llms.txt has a line about each page: `npm run docs:llms` writes it", () => {
  const { path, text } = llmsText();
  expect(readFileSync(path, "utf8")).toBe(text);
});

test("the example of llms.txt runs", async () => {
  await using db = await tempDatabase();
  const code = /^```ts\n([\s\S]*?)^```$/m.exec(llmsText().text)![1]!;
  // Inside the package, so that it imports the package by its name.
  const folder = fileURLToPath(new URL("../../dist/llms", import.meta.url));
  mkdirSync(folder, { recursive: true });
  const file = `${folder}/example-${process.pid}.mjs`;
  writeFileSync(file, code);
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], { cwd: db.dir });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^keyword \S+ .*<mark>Migrations<\/mark>/);
    expect(stdout).toMatch(/^1 true$/m);
  } finally {
    rmSync(file);
  }
});
