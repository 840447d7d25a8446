import { writeFileSync } from "node:fs";
import type { LocalClient } from "../../client/local/local-client.js";
import { openMemoryClient } from "../../client/local/open-local.js";
import { splitScript } from "../../client/sql/parse.js";
import { quoteText } from "../../client/sql/quote.js";
import { readDdl } from "../ddl.js";
import { type Journal, type Migration, readJournal } from "../journal.js";
import { MemorySchema } from "../memory-schema.js";
import { migrate } from "../migrate.js";
import { type Addition, Rebuilds } from "../rebuilds.js";
import { fold, SCHEMA_QUERY, type SchemaObject, toSchema } from "../schema-objects.js";
import { BREAKPOINT, splitMigration, splitParts } from "../script.js";
import { indexJudge } from "../snapshots.js";

/**
 * Fails if foreign keys are enforced, before anything is dropped. Inside a transaction `PRAGMA foreign_keys` has no
 * effect, and the DROP of a rebuild would delete or detach the rows that refer to the table.
 */
const GUARD = `SELECT json(CASE foreign_keys WHEN 0 THEN '1' ELSE 'foreign_keys must be off, or this rebuild deletes the rows that refer to the table' END) FROM pragma_foreign_keys;`;

/**
 * Makes a migration that rebuilds tables safe for every migrator, including stock `drizzle-kit migrate`. Returns the
 * statements that it added to the file.
 *
 * A column that the rebuild adds is not copied from the old table, which does not have it. At the end of the rebuild,
 * the triggers, views and handwritten indexes that it loses are re-created, and the full-text indexes of the table are
 * filled again. Objects that mention the table and would prevent the RENAME are dropped before it.
 *
 * Call it before the migration is applied anywhere: afterwards its text must not change.
 */
export async function completeForward(folder: string, tag: string): Promise<string[]> {
  const { journal, migration } = find(folder, tag);
  await using client = await openAt(folder, before(journal, migration));
  const schema = await readSchema(client);
  const memory = new MemorySchema(schema);
  const refuse = ({ name }: SchemaObject) => {
    throw new Error(
      `Nothing tells whether the index ${name} should exist after ${tag}: ${folder}/meta has no snapshots`,
    );
  };
  const judge = indexJudge(journal);
  const rebuilds = new Rebuilds({
    query: (sql) => memory.query(sql),
    judge: (index) => judge(index, { migration, isDown: false }),
    refuse,
  });
  const statements = splitMigration(migration.sql).map(({ sql }) => ({ sql, ddl: readDdl(sql) }));
  const added: string[] = [];
  const parts: string[] = [];
  const add = (additions: readonly Addition[]) => {
    for (const { sql } of additions) {
      memory.exec(sql);
      added.push(sql);
      parts.push(`\n${sql};`);
    }
  };
  let index = 0;
  for (const { text } of splitParts(migration.sql)) {
    const part = withKnownColumns(memory, text);
    if (part !== text) added.push(part.trim());
    const following: Addition[] = [];
    for (const { sql } of splitScript(part)) {
      add(rebuilds.before(statements, index));
      if (!/^PRAGMA\s+foreign_keys/i.test(sql)) memory.exec(sql);
      following.push(...rebuilds.after());
      index++;
    }
    parts.push(part);
    add(following);
  }
  add(rebuilds.end());
  const { rebuilt } = rebuilds;
  memory.close();
  if (await actsOnChildren(client, schema, rebuilt)) {
    added.unshift(GUARD);
    parts.unshift(`${GUARD}`);
    parts[1] = `\n${parts[1]}`;
  }
  if (added.length > 0) writeFileSync(migration.path, `${parts.map((part) => part.trimEnd()).join(BREAKPOINT)}\n`);
  return added;
}

const COPY = /INSERT INTO `__new_(.+?)`\((.*?)\) SELECT (.*?) FROM `(.+?)`;/s;

/**
 * drizzle-kit's rebuild copies every column of the new table, including those that the old table does not have and those
 * that are generated. SQLite reads a name in double quotes that it does not know as text, and stores it in each row; it
 * refuses to store a generated column.
 */
function withKnownColumns(memory: MemorySchema, part: string): string {
  const copy = COPY.exec(part);
  if (copy === null) return part;
  const [, into, , selected, from] = copy as unknown as string[];
  const columnsOf = (table: string, where: string) =>
    new Set(
      memory
        .query(`SELECT name FROM pragma_table_xinfo(${quoteText(table)}) WHERE ${where}`)
        .map(([name]) => `"${name}"`),
    );
  const known = columnsOf(from!, "true");
  const stored = columnsOf(`__new_${into}`, "hidden = 0");
  const names = selected!.split(", ");
  const common = names.filter((name) => known.has(name) && stored.has(name)).join(", ");
  if (common === names.join(", ")) return part;
  return part.replace(COPY, () => `INSERT INTO \`__new_${into}\`(${common}) SELECT ${common} FROM \`${from}\`;`);
}

/** Opens a database in memory and migrates it to `tag`. Without `tag`, applies no migration. */
export async function openAt(folder: string, tag: string | undefined): Promise<LocalClient & AsyncDisposable> {
  const client = openMemoryClient();
  if (tag !== undefined) await migrate(client, { folder, to: tag });
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
}

export function find(folder: string, tag: string): { journal: Journal; migration: Migration } {
  const journal = readJournal(folder);
  const migration = journal.find((one) => one.tag === tag);
  if (migration === undefined) throw new Error(`The journal in ${folder} has no migration ${tag}`);
  return { journal, migration };
}

export function before(journal: Journal, migration: Migration): string | undefined {
  return journal[journal.indexOf(migration) - 1]?.tag;
}

async function readSchema(client: LocalClient): Promise<SchemaObject[]> {
  return toSchema((await client.execute(SCHEMA_QUERY)).rows);
}

async function actsOnChildren(
  client: LocalClient,
  schema: readonly SchemaObject[],
  rebuilt: ReadonlySet<string>,
): Promise<boolean> {
  if (rebuilt.size === 0) return false;
  for (const { name } of schema.filter(({ type }) => type === "table")) {
    const keys = await client.execute({ sql: "SELECT * FROM pragma_foreign_key_list(?)", args: [name] });
    if (keys.rows.some((key) => /CASCADE|SET/.test(String(key.on_delete)) && rebuilt.has(fold(String(key.table))))) {
      return true;
    }
  }
  return false;
}
