import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { schemaReference } from "../../scripts/schema-reference.js";

test("docs/reference/schema.md matches the schema: `npm run docs:schema` writes it", async () => {
  const { path, text } = await schemaReference();
  expect(readFileSync(path, "utf8")).toBe(text);
});

test("every table, column and trigger has a description", async () => {
  expect((await schemaReference()).missing).toEqual([]);
});
