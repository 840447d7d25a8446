import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { packagesOf } from "../support/packages-of.js";
import { tempDatabase } from "../support/temp.js";

// Every process that opens a file loads these. The main entry of @libsql/client would also load the network clients.
test("opening a file loads no network client", () => {
  const allowed = ["@libsql/client/sqlite3", "drizzle-orm", "drizzle-orm/libsql/sqlite3", "drizzle-orm/sqlite-core"];
  const small = ["stemmer"];
  expect(packagesOf(fileURLToPath(new URL("../../dist/index.js", import.meta.url)))).toEqual(
    [...allowed, ...small].sort(),
  );
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
