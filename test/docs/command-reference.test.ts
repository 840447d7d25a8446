import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { commandReference } from "../../scripts/command-reference.js";

test("docs/reference/commands.md matches the help: `npm run docs:commands` writes it", () => {
  const { path, text } = commandReference();
  expect(readFileSync(path, "utf8")).toBe(text);
});
