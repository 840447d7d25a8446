import type { Client } from "@libsql/client";
import { quoteName } from "../client/sql/quote.js";
import { asStorageErrors } from "../client/storage-error.js";
import { lookUp } from "./decision.js";
import { isFullText } from "./full-text.js";
import { loadJournal } from "./journal.js";
import { clientQuery, type Query } from "./ledger.js";
import { expectedSchema } from "./missing-objects.js";
import { type JournalOptions, resolveJournalOptions } from "./options.js";
import { fold, keyOf, SCHEMA_QUERY, type SchemaObject, toSchema } from "./schema-objects.js";
import { readScript, type Script } from "./script.js";

/** An object of the schema that migrations create and a database does not have, or a column of such a table. */
export interface Lacking extends Pick<SchemaObject, "type" | "name"> {
  readonly column?: string;
}

/** Finds what a database lacks of the schema that the scripts create. */
export async function findLacking(
  query: Query,
  schema: readonly SchemaObject[],
  scripts: readonly Script[],
): Promise<Lacking[]> {
  const present = new Set(schema.map(keyOf));
  const lacking: Lacking[] = [];
  for (const { type, name, columns, sql } of expectedSchema(schema, scripts)) {
    if (!present.has(keyOf({ type, name }))) lacking.push({ type, name });
    // The columns of a full-text table cannot change, nor be read where its index is damaged.
    else if (type === "table" && !isFullText(sql)) {
      const has = new Set((await query(`PRAGMA table_xinfo(${quoteName(name)})`)).map((row) => fold(String(row[1]))));
      lacking.push(...columns.filter((column) => !has.has(fold(column))).map((column) => ({ type, name, column })));
    }
  }
  return lacking;
}

/** Finds what a database lacks of the schema that its applied migrations create. Changes nothing. */
export async function findMissingSchema(client: Client, options: JournalOptions): Promise<Lacking[]> {
  const resolved = resolveJournalOptions("findMissingSchema", options);
  const query = clientQuery(client);
  return asStorageErrors(async () => {
    const { applied } = (await lookUp(query, loadJournal(resolved), resolved)).comparison;
    const scripts = applied.map((migration) => readScript(migration));
    return await findLacking(query, toSchema(await query(SCHEMA_QUERY)), scripts);
  });
}

/** Names it in a message. */
export function describeLacking({ type, name, column }: Lacking): string {
  return column === undefined ? `the ${type} ${name}` : `the column ${column} of ${name}`;
}
