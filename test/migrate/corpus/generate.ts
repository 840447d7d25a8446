import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { SCHEMAS } from "./schemas.js";

const require = createRequire(import.meta.url);
const { generateSQLiteDrizzleJson, generateSQLiteMigration } =
  require("drizzle-kit/api") as typeof import("drizzle-kit/api");

/** The SQL of drizzle-kit for a pair of schemas, as statements. */
interface Generated {
  /** Creates the first schema in an empty database. */
  readonly before: readonly string[];
  readonly up: readonly string[];
  /** From the second schema back to the first. */
  readonly down: readonly string[];
  /** Creates the second schema in an empty database. */
  readonly after: readonly string[];
  /** The indexes in the snapshots, with their tables. */
  readonly indexesBefore: Readonly<Record<string, string>>;
  readonly indexesAfter: Readonly<Record<string, string>>;
}

export interface GeneratedFile {
  /** The version of drizzle-kit. */
  readonly version: string;
  readonly changes: Readonly<Record<string, Generated>>;
}

/** Lets drizzle-kit write the migrations of all pairs of schemas. */
export async function generate(): Promise<GeneratedFile> {
  const { version } = JSON.parse(readFileSync(join(dirname(require.resolve("drizzle-kit")), "package.json"), "utf8"));
  const none = await generateSQLiteDrizzleJson({});
  const changes: Record<string, Generated> = {};
  for (const [name, [first, second]] of Object.entries(SCHEMAS)) {
    const before = await generateSQLiteDrizzleJson(first);
    const after = await generateSQLiteDrizzleJson(second, before.id);
    changes[name] = {
      before: await generateSQLiteMigration(none, before),
      up: await generateSQLiteMigration(before, after),
      down: await generateSQLiteMigration(after, before),
      after: await generateSQLiteMigration(none, after),
      indexesBefore: indexesOf(before),
      indexesAfter: indexesOf(after),
    };
  }
  return { version, changes };
}

function indexesOf({ tables }: { tables: Record<string, { indexes: Record<string, unknown> }> }) {
  return Object.fromEntries(
    Object.entries(tables).flatMap(([table, { indexes }]) => Object.keys(indexes).map((index) => [index, table])),
  );
}
