import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The packages that a built module imports before it runs, directly or through other modules. */
function packagesOf(door: string): string[] {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const [, name] of readFileSync(file, "utf8").matchAll(
      /(?:^|;)(?:import|export)\b(?:[^;"()]*\bfrom)?"([^"]+)"/gm,
    )) {
      if (name!.startsWith(".")) visit(resolve(dirname(file), name!));
      else if (!name!.startsWith("node:")) packages.add(name!);
    }
  };
  visit(resolve(root, door));
  return [...packages].sort();
}

// Every process that opens a file loads these. The main entry of @libsql/client would also load the network clients.
test("opening a file loads no network client", () => {
  const allowed = ["@libsql/client/sqlite3", "drizzle-orm", "drizzle-orm/libsql/sqlite3", "drizzle-orm/sqlite-core"];
  const small = ["lru-cache", "stemmer", "uuid"];
  expect(packagesOf("dist/index.js")).toEqual([...allowed, ...small].sort());
});
