import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const page = new URL("../../docs/operations/durability.md", import.meta.url);

test("docs/operations/durability.md names tests and pages that exist", () => {
  const text = readFileSync(page, "utf8");
  const links = [...text.matchAll(/\]\(([^)#]+)\)/g)]
    .map((match) => match[1]!)
    .filter((link) => !link.startsWith("http"));
  expect(links.filter((link) => link.endsWith(".test.ts")).length).toBeGreaterThan(10);
  expect(links.filter((link) => !existsSync(new URL(link, page)))).toEqual([]);
  const named = [...text.matchAll(/\[(test\/[^\]]+)\]\(([^)]+)\)/g)];
  for (const [, name, link] of named) expect(link).toBe(`../../${name}`);
});

test("each guarantee of docs/operations/durability.md names a test", () => {
  const rows = readFileSync(page, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| ") && !/^\| (Guarantee|---)/.test(line));
  expect(rows.length).toBeGreaterThan(10);
  for (const row of rows) expect(row).toMatch(/\.test\.ts\)/);
});
