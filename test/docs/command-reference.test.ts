import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { commandReference } from "../../scripts/command-reference.js";

test("the command reference in README.md and docs/reference/commands.md matches the help: `npm run docs:commands` writes it", () => {
  for (const { path, text } of commandReference()) expect(readFileSync(path, "utf8"), path).toBe(text);
});
