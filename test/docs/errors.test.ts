import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readEntries } from "../../scripts/api/read-entries.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string) => readFileSync(`${root}${path}`, "utf8");
const page = read("docs/reference/errors.md");

/** The codes in the first column of the tables below a heading. */
function codesUnder(...headings: string[]): string[] {
  const sections = page.split(/^## /m).filter((section) => headings.includes(section.slice(0, section.indexOf("\n"))));
  expect(sections.length).toBe(headings.length);
  const cells = sections.flatMap((section) => [...section.matchAll(/^\| ([^|]+) \|/gm)].map((match) => match[1]!));
  return sorted(cells.flatMap((cell) => [...cell.matchAll(/`([A-Z][A-Z_0-9]+)`/g)].map((match) => match[1]!)));
}

/** The members of a union of texts in a source file. */
function unionIn(path: string, name: string): string[] {
  const text = read(path);
  const type = text.slice(text.indexOf(`type ${name} =`));
  return sorted([...type.slice(0, type.indexOf(";")).matchAll(/"([A-Z_0-9]+)"/g)].map((match) => match[1]!));
}

/** The codes that the client gives its errors, and those that repositories know how to turn into theirs. */
function clientCodes(): string[] {
  const folder = "src/client/";
  const files = readdirSync(`${root}${folder}`, { recursive: true, encoding: "utf8" });
  const codes = files
    .filter((name) => name.endsWith(".ts"))
    .map((name) => read(folder + name))
    .flatMap((text) =>
      [...text.matchAll(/\b(?:new Libsql(?:Batch)?Error|super|renamed)\(/g)].map((at) => call(text, at.index)),
    )
    .flatMap((text) => [...text.matchAll(/"([A-Z]+(?:_[A-Z]+)*)"/g)].map((match) => match[1]!));
  const known = read("src/client/storage-error.ts").match(/BY_SQLITE_CODE[^{]*\{([^}]*)\}/)![1]!;
  const keys = [...known.matchAll(/^ {2}([A-Z_]+):/gm)].map((match) => match[1]!);
  // A storage puts this one on its client, as a StorageError.
  return sorted([...codes, ...keys, "SQLITE_CONSTRAINT"]).filter((code) => code !== "WRONG_HANDLE");
}

/** The text of a call that begins at `start`, with its brackets. */
function call(text: string, start: number): string {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    if (text[at] === "(") depth++;
    if (text[at] === ")" && --depth === 0) return text.slice(start, at + 1);
  }
  return text.slice(start);
}

function sorted(codes: readonly string[]): string[] {
  return [...new Set(codes)].sort();
}

test("docs/reference/errors.md has every code of a StorageError, and no others", () => {
  const codes = unionIn("src/shared/errors.ts", "StorageErrorCode");
  expect(codes.length).toBeGreaterThan(30);
  expect(codesUnder("Storage and repositories", "Migrations", "Stories", "File lock")).toEqual(codes);
});

test("docs/reference/errors.md has every code of the client, and no others", () => {
  expect(clientCodes()).toContain("ACQUIRE_TIMEOUT");
  expect(codesUnder("Client")).toEqual(clientCodes());
});

test("docs/reference/errors.md has every code of memvid, and no others", () => {
  expect(codesUnder("Memvid")).toEqual(unionIn("src/memvid/memvid-error.ts", "MemvidErrorCode"));
});

test("docs/reference/errors.md has every class of an error with its own fields", () => {
  const classes = readEntries().filter(({ kind, name }) => kind === "class" && name.endsWith("Error"));
  expect(classes.length).toBeGreaterThan(6);
  const text = page.slice(page.indexOf("## Fields"), page.indexOf("## Storage and repositories"));
  for (const { name, members } of classes) {
    expect(text, name).toContain(`\`${name}\``);
    const fields = members.filter(({ isMethod, inheritedFrom }) => !isMethod && inheritedFrom === undefined);
    for (const field of fields) expect(text, name).toContain(`\`${field.name}\``);
  }
});
