import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Every page for people: those of the top folder and all in docs. */
const PAGES = [
  ...readdirSync(root).filter((name) => name.endsWith(".md") || name === "llms.txt"),
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
];

/** The text without code, in which brackets are no links and `#` is no heading. */
function prose(page: string): string {
  return readFileSync(join(root, page), "utf8").replace(/^ *(`{3,}|~{3,})[^\n]*\n[\s\S]*?^ *\1 *$/gm, "");
}

/** The anchors of a page, as GitHub makes them of its headings; a repeated heading gets a number. */
function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading] of prose(page).matchAll(/^#{1,6} +(.+?) *#*$/gm)) {
    const text = heading!.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const slug = text.replace(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, "").replaceAll(" ", "-");
    for (let copy = 0; ; copy++) {
      const anchor = copy === 0 ? slug : `${slug}-${copy}`;
      if (anchors.has(anchor)) continue;
      anchors.add(anchor);
      break;
    }
  }
  for (const [, id] of prose(page).matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(id!);
  return anchors;
}

/** The targets of the links of a page that are not addresses on the web. */
function relativeLinks(page: string): string[] {
  const text = prose(page).replace(/`[^`\n]*`/g, (code) => "`".repeat(code.length));
  const targets = [...text.matchAll(/\]\(\s*<?([^)\s>]+)/g), ...text.matchAll(/^\[[^\]]+\]:\s*(\S+)/gm)];
  return targets.map((match) => match[1]!).filter((target) => !/^[a-z][a-z+.-]*:/i.test(target));
}

test("the pages are found", () => {
  expect(PAGES).toEqual(expect.arrayContaining(["README.md", "CHANGELOG.md", "CONTRIBUTING.md"]));
  expect(PAGES.flatMap(relativeLinks).length).toBeGreaterThan(50);
});

test.each(PAGES)("no relative link or anchor in %s is dead", (page) => {
  const dead = relativeLinks(page).filter((link) => {
    const [path, anchor] = link.split("#", 2) as [string, string?];
    const target = path === "" ? join(root, page) : resolve(root, dirname(page), decodeURI(path));
    if (!target.startsWith(root) || !existsSync(target)) return true;
    if (anchor === undefined) return false;
    // Lines of a source file are no anchors that stay.
    return !statSync(target).isFile() || !anchorsOf(target.slice(root.length)).has(decodeURI(anchor));
  });
  expect(dead).toEqual([]);
});
