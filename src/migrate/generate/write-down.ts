import { rmSync, writeFileSync } from "node:fs";
import { quoteName } from "../../client/sql/quote.js";
import { readDdl } from "../ddl.js";
import { UNFINISHED } from "../down.js";
import { downPath, type Journal, type Migration } from "../journal.js";
import { migrate } from "../migrate.js";
import { revert } from "../revert.js";
import { BREAKPOINT, splitMigration } from "../script.js";
import { before, find, openAt } from "./complete-forward.js";
import { waysBack } from "./down-sql.js";
import { fillTables } from "./fill-tables.js";
import type { Kit } from "./kit.js";
import { mulberry32 } from "./random.js";
import { readIfThere } from "./read-if-there.js";
import { difference, schemaText } from "./schema-text.js";
import { emptySnapshot, readSnapshot, type Snapshot } from "./snapshot.js";

/** The state of a down file: generated and tested, already written, or to be written by a person. */
export interface DownFile {
  readonly path: string;
  readonly state: "generated" | "kept" | "unfinished";
  /** Notes for the person who generates the migration. */
  readonly notes: readonly string[];
}

/**
 * Writes the down file of a migration, unless it exists.
 *
 * A generated file is tested before it is kept: on a database in memory with rows in every table, migrating up and down
 * again must restore the schema and keep the rows. If no file can be generated (custom SQL, a column that cannot be
 * filled), the file is a template, which `revert` refuses.
 */
export async function writeDown(folder: string, tag: string, kit: Pick<Kit, "generateSql">): Promise<DownFile> {
  const { journal, migration } = find(folder, tag);
  const path = downPath(migration);
  if (readIfThere(path) !== undefined) return { path, state: "kept", notes: [] };
  const [from, to] = readSnapshots(folder, journal, migration);
  const ways = await waysBack(kit, from, to, migration.sql);
  if (ways.length === 0) {
    writeFileSync(path, template(migration, "is custom SQL, which drizzle-kit cannot revert"));
    return { path, state: "unfinished", notes: [] };
  }
  const notes: string[] = [];
  for (const statements of ways) {
    writeFileSync(path, `-- Reverts ${tag}. Dropped tables and columns are restored empty.\n${toText(statements)}`);
    const { failure, warnings } = await tryOut(folder, journal, migration);
    if (failure === undefined) return { path, state: "generated", notes: warnings };
    notes.push(failure);
    rmSync(path);
  }
  writeFileSync(path, template(migration, `could not be reverted by generated SQL: ${notes[0]!.split("\n")[0]}`));
  return { path, state: "unfinished", notes };
}

function toText(statements: readonly string[]): string {
  return `${statements.map((statement) => statement.trim()).join(`\n${BREAKPOINT}\n`)}\n`;
}

/** The snapshots before and after a migration. */
function readSnapshots(folder: string, journal: Journal, migration: Migration): [Snapshot, Snapshot] {
  const after = readSnapshot(folder, migration.tag);
  const previous = before(journal, migration);
  return [previous === undefined ? emptySnapshot(after) : readSnapshot(folder, previous), after];
}

/** Migrates up and down again. Returns what differs afterwards. */
async function tryOut(
  folder: string,
  journal: Journal,
  migration: Migration,
): Promise<{ failure?: string; warnings: string[] }> {
  const warnings: string[] = [];
  const { tag } = migration;
  try {
    for (const withRows of [true, false]) {
      // The same rows each time, so that the result does not depend on chance.
      const random = mulberry32(1);
      await using client = await openAt(folder, before(journal, migration));
      if (withRows) await fillTables(client, random);
      const schema = await schemaText(client);
      try {
        await migrate(client, { folder, to: tag });
      } catch (error) {
        if (!withRows) throw error;
        warnings.push(`${tag} cannot be applied to tables that have rows: ${(error as Error).message}`);
        continue;
      }
      const changed = await schemaText(client);
      await fillTables(client, random);
      const rows = await countRows(client);
      await revert(client, { folder, steps: 1 });
      const now = await schemaText(client);
      if (now !== schema) return { failure: `it leaves a different schema: ${difference(schema, now)}`, warnings };
      const left = await countRows(client);
      // Tables that exist on only one side are created or dropped. All others keep their rows.
      const fewer = [...rows].filter(([table, count]) => (left.get(table) ?? count) < count);
      if (fewer.length > 0)
        return { failure: `it deletes rows of ${fewer.map(([table]) => table).join(", ")}`, warnings };
      try {
        await migrate(client, { folder, to: tag });
      } catch (error) {
        warnings.push(
          `after its down file, ${tag} cannot be applied again to the restored rows: ${(error as Error).message}`,
        );
        break;
      }
      const again = await schemaText(client);
      if (again !== changed) {
        return { failure: `applying it again gives a different schema: ${difference(changed, again)}`, warnings };
      }
      break;
    }
    return { warnings };
  } catch (error) {
    return { failure: (error as Error).message, warnings };
  }
}

async function countRows(client: Awaited<ReturnType<typeof openAt>>): Promise<Map<string, number>> {
  const { rows } = await client.execute(
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT GLOB '__*' AND name NOT GLOB 'sqlite_*'",
  );
  const counts = new Map<string, number>();
  for (const { name } of rows) {
    const count = await client.execute(`SELECT count(*) FROM ${quoteName(String(name))}`);
    counts.set(String(name), Number(count.rows[0]![0]));
  }
  return counts;
}

function template({ tag, sql }: Migration, why: string): string {
  const drops = splitMigration(sql)
    .flatMap(({ sql: statement }) => {
      const ddl = readDdl(statement);
      return ddl?.action === "create" ? [`-- DROP ${ddl.type.toUpperCase()} \`${ddl.name}\`;`] : [];
    })
    .toReversed();
  const made = drops.length === 0 ? [] : ["-- Objects that it creates, the last first:", ...drops];
  return [
    `${UNFINISHED}: ${tag} ${why}.`,
    "-- Write statements that undo it, the last one first, and delete these lines. Until then it is IRREVERSIBLE.",
    "-- If there is nothing to undo, leave a comment that says so. If it cannot be undone, delete this file.",
    ...made,
    "",
  ].join("\n");
}
