import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { packagesOf } from "../support/packages-of.js";

// Every process that opens a file loads these. The main entry of @libsql/client would also load the network clients.
test("opening a file loads no network client", () => {
  const allowed = ["@libsql/client/sqlite3", "drizzle-orm", "drizzle-orm/libsql/sqlite3", "drizzle-orm/sqlite-core"];
  const small = ["stemmer"];
  expect(packagesOf(fileURLToPath(new URL("../../dist/index.js", import.meta.url)))).toEqual(
    [...allowed, ...small].sort(),
  );
});
