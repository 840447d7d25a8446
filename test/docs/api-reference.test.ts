import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { readEntries } from "../../scripts/api/read-entries.js";
import { apiReference, withoutComment } from "../../scripts/api-reference.js";

const declarations = readEntries();

test("the pages of docs/reference/api match the doc comments: `npm run docs:api` writes them", () => {
  const pages = apiReference(declarations);
  for (const { path, text } of pages) expect(readFileSync(path, "utf8"), path).toBe(text);
  const folder = dirname(pages[0]!.path);
  expect(
    readdirSync(folder)
      .map((name) => join(folder, name))
      .toSorted(),
  ).toEqual(pages.map(({ path }) => path).toSorted());
});

test("every export, method and option has a doc comment", () => {
  expect(declarations.length).toBeGreaterThan(200);
  expect(withoutComment(declarations)).toEqual([]);
});
