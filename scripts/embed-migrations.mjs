// Writes the migrations of drizzle/ as code, so that a bundled program needs no folder next to it.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import Database from "libsql";

const FOLDER = new URL("../drizzle/", import.meta.url);
const MODULE = new URL("../src/shared/holdfast-migrations.ts", import.meta.url);

/** The text of src/shared/holdfast-migrations.ts, from drizzle/. */
export function embeddedMigrations() {
  const read = (name) => readFileSync(new URL(name, FOLDER), "utf8");
  const { entries } = JSON.parse(read("meta/_journal.json"));
  const snapshots = [];
  const migrations = entries.map(({ tag, when }) => {
    const snapshot = indexesOf(JSON.parse(read(`meta/${tag.split("_", 1)[0]}_snapshot.json`)));
    if (!snapshots.includes(snapshot)) snapshots.push(snapshot);
    return `  {
    tag: ${JSON.stringify(tag)},
    when: ${when},
    snapshot: SNAPSHOTS[${snapshots.indexOf(snapshot)}],
    sql: ${literal(read(`${tag}.sql`))},
    down: ${literal(read(`${tag}.down.sql`))},
  },\n`;
  });
  return `// Written from drizzle/ by scripts/embed-migrations.mjs, which \`npm run db:generate\` and the build run. Do not edit it.

/** The indexes that each snapshot of drizzle-kit has, as far as they differ. */
const SNAPSHOTS = [
${snapshots.map((snapshot) => `  ${snapshot},\n`).join("")}] as const;

/** The migrations of this package, in their order. */
export const HOLDFAST_MIGRATIONS = [
${migrations.join("")}] as const;

/** The tables and triggers that these migrations leave, by type and name. Reading them from the SQL would slow every start. */
export const HOLDFAST_OBJECTS = [
${objectsOf(entries.map(({ tag }) => read(`${tag}.sql`)))
  .map((key) => `  ${JSON.stringify(key)},\n`)
  .join("")}] as const;
`;
}

function objectsOf(scripts) {
  const database = new Database(":memory:");
  for (const script of scripts) database.exec(script);
  const objects = database.prepare(
    `SELECT type || ' ' || lower(name) FROM sqlite_schema
     WHERE type IN ('table', 'trigger') AND name NOT LIKE 'sqlite%' ORDER BY 1`,
  );
  const keys = objects.raw().all().flat();
  database.close();
  return keys;
}

/** The indexes of the tables in a snapshot, as JSON in the form of a snapshot. Nothing else of it is used. */
function indexesOf({ tables }) {
  const named = ({ indexes }) => ({ indexes: Object.fromEntries(Object.keys(indexes).map((name) => [name, {}])) });
  return JSON.stringify({
    tables: Object.fromEntries(Object.entries(tables).map(([name, table]) => [name, named(table)])),
  });
}

function literal(text) {
  return `\`${text.replace(/[\\`]|\$\{/g, "\\$&")}\``;
}

/** Writes the module if it differs. */
export function embedMigrations() {
  const text = embeddedMigrations();
  if (readFileSync(MODULE, { encoding: "utf8", flag: "a+" }) !== text) writeFileSync(MODULE, text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) embedMigrations();
