import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { StorageError } from "../../shared/errors.js";
import type { Snapshot } from "./snapshot.js";

/** The drizzle-kit of a project. */
export interface Kit {
  readonly version: string;
  /** The path of its program. */
  readonly program: string;
  /** The SQL that changes the schema of one snapshot into that of another. */
  readonly generateSql: (from: Snapshot, to: Snapshot) => Promise<string[]>;
}

/**
 * Finds the drizzle-kit that a project in `folder` would run. Throws NOT_FOUND if none is installed, and NOT_SUPPORTED
 * for 1.0, which has another layout, other snapshots and another API.
 */
export function findKit(folder: string): Kit {
  const require = createRequire(join(resolve(folder), "package.json"));
  let entry: string;
  try {
    entry = require.resolve("drizzle-kit");
  } catch (error) {
    throw new StorageError(
      "NOT_FOUND",
      `drizzle-kit is not installed in ${resolve(folder)}. Install it there: npm install --save-dev drizzle-kit`,
      { cause: error },
    );
  }
  const root = dirname(entry);
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  if (!version.startsWith("0.")) {
    throw new StorageError(
      "NOT_SUPPORTED",
      `drizzle-kit ${version} is installed in ${resolve(folder)}, and this works with 0.31. Run \`drizzle-kit generate\` of that version yourself, and write the down file by hand`,
    );
  }
  // Its ESM build cannot be loaded, because it calls `require`.
  const load = () => require("drizzle-kit/api") as { generateSQLiteMigration: Kit["generateSql"] };
  return {
    version,
    program: join(root, "bin.cjs"),
    generateSql: (from, to) => load().generateSQLiteMigration(from, to),
  };
}
