import { type Client, LibsqlError } from "@libsql/client/sqlite3";
import { quoteName, quoteText } from "../client/sql/quote.js";
import { StorageError } from "../shared/errors.js";
import type { Migration } from "./journal.js";

/** One applied migration, as recorded in the ledger. */
export interface LedgerRow {
  readonly hash: string;
  /** The `when` of that migration in the journal, in ms. */
  readonly when: number;
}

/** Returns the rows of a query, by column number. */
export type Query = (sql: string) => ArrayLike<unknown>[] | Promise<ArrayLike<unknown>[]>;

export function clientQuery(client: Client): Query {
  return async (sql) => (await client.execute(sql)).rows;
}

/** The entries of the ledger in the order in which they were added. Undefined if the file has no ledger. */
export async function readLedger(query: Query, table: string): Promise<LedgerRow[] | undefined> {
  try {
    return await readRows(query, table);
  } catch (error) {
    if (!(error instanceof LibsqlError)) throw error;
    const known = await query(`SELECT 1 FROM sqlite_schema WHERE name = ${quoteText(table)} COLLATE NOCASE`);
    if (known.length === 0) return undefined;
    if (!/no such column/.test(error.message)) {
      // Another process may have created it between the two reads.
      return readRows(query, table);
    }
    throw new StorageError("INVALID", `The table ${table} is not a ledger of drizzle. Set another \`table\``, {
      cause: error,
    });
  }
}

async function readRows(query: Query, table: string): Promise<LedgerRow[]> {
  const rows = await query(`SELECT hash, created_at FROM ${quoteName(table)} ORDER BY rowid`);
  return rows.map((row) => {
    const [hash, when] = Array.from(row);
    return { hash: String(hash), when: Number(when) };
  });
}

/** Drizzle's own text, so that drizzle finds the table that it would have created, and Holdfast finds drizzle's. */
export function createLedgerSql(table: string, withNames = false): string {
  return `CREATE TABLE IF NOT EXISTS ${quoteName(table)} (
			id ${withNames ? "INTEGER" : "SERIAL"} PRIMARY KEY,
			hash text NOT NULL,
			created_at numeric${withNames ? ",\n\t\t\tname text,\n\t\t\tapplied_at TEXT" : ""}
		)`;
}

/** Whether drizzle 1.0 has made or upgraded the ledger: it finds migrations by their names, not by their times. */
export async function hasNames(query: Query, table: string): Promise<boolean> {
  const columns = await query(`PRAGMA table_info(${quoteName(table)})`);
  return columns.some((column) => column[1] === "name");
}

/** Records a migration as applied, `withName` in a ledger that has names. */
export function insertLedgerSql(table: string, { tag, hash, when }: Migration, withName = false): string {
  const name = quoteName(table);
  if (!withName) return `INSERT INTO ${name} ("hash", "created_at") VALUES(${quoteText(hash)}, ${when})`;
  return `INSERT INTO ${name} ("hash", "created_at", "name", "applied_at") VALUES(${quoteText(hash)}, ${when}, ${quoteText(tag)}, ${quoteText(new Date().toISOString())})`;
}

/**
 * Deletes the entries of one migration. These are all rows with its hash and time, because several stock migrators may
 * have applied it at the same time. If there are none, it is the last row with its hash, because two files may have the
 * same text.
 */
export function deleteLedgerSql(table: string, { hash, when }: LedgerRow): string {
  const name = quoteName(table);
  const sameHash = `hash = ${quoteText(hash)}`;
  const same = `${sameHash} AND created_at = ${when}`;
  const last = `NOT EXISTS (SELECT 1 FROM ${name} WHERE ${same}) AND rowid = (SELECT max(rowid) FROM ${name} WHERE ${sameHash})`;
  return `DELETE FROM ${name} WHERE (${same}) OR (${last})`;
}
