import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { filesOf, packagesOf } from "../support/packages-of.js";
import { tempDatabase } from "../support/temp.js";

// Every process that opens a file loads these. The main entry of @libsql/client would also load the network clients.
test("opening a file loads no network client", () => {
  const allowed = ["@libsql/client/sqlite3", "drizzle-orm", "drizzle-orm/libsql/sqlite3", "drizzle-orm/sqlite-core"];
  const small = ["stemmer"];
  expect(packagesOf(fileURLToPath(new URL("../../dist/index.js", import.meta.url)))).toEqual(
    [...allowed, ...small].sort(),
  );
});

// Node takes a millisecond to load a file, however short it is.
test("an entry loads few files, and a small one no large file", () => {
  const loaded = (entry: string) => filesOf(fileURLToPath(new URL(`../../dist/${entry}.js`, import.meta.url)));
  const bytes = (entry: string) => loaded(entry).reduce((sum, file) => sum + statSync(file).size, 0);
  expect(loaded("index").length).toBeLessThan(10);
  expect(loaded("client/index").length).toBeLessThan(5);
  const small = ["files/lock/index", "otel/index", "schema/index", "areas/stories/testing/index", "cli/main"];
  for (const entry of small) expect(bytes(entry)).toBeLessThan(60_000);
  expect(bytes("client/index")).toBeLessThan(200_000);
});

// It looks at the machine as `libsql` does, which takes a twentieth of the time of the import.
test("storing a record in an existing file loads no module for work on other threads", async () => {
  await using db = await tempDatabase();
  const path = JSON.stringify(db.path);
  const run = (content: string) =>
    execFileSync(
      process.execPath,
      [
        "--input-type=module",
        "-e",
        `import { createRequire } from "node:module";
        import { openStorage } from "holdfast";
        const storage = await openStorage(${path});
        await storage.memories.insert({ content: ${JSON.stringify(content)} });
        await storage.close();
        const loaded = Object.keys(createRequire(import.meta.url).cache);
        console.log(loaded.map((path) => /libsql.(index|promise)\\.js$/.exec(path)?.[1]).filter(Boolean).join());`,
      ],
      { cwd: fileURLToPath(new URL("../..", import.meta.url)), encoding: "utf8" },
    );
  expect([run("The first makes the tables"), run("Deploys run on Tuesdays")]).toEqual(["index,promise\n", "index\n"]);
});
