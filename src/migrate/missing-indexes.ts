import type { Client } from "@libsql/client";
import { asStorageErrors } from "../client/storage-error.js";
import { lookUp } from "./decision.js";
import { loadJournal } from "./journal.js";
import { clientQuery } from "./ledger.js";
import { type JournalOptions, resolveJournalOptions } from "./options.js";
import { fold, keyOf, relations, SCHEMA_QUERY, toSchema } from "./schema-objects.js";
import { readScript } from "./script.js";
import { indexesAfter } from "./snapshots.js";

export interface MissingIndex {
  readonly name: string;
  readonly table: string;
}

/**
 * Finds the indexes that the snapshot of the last applied migration has, that the applied migrations create, and that
 * are missing in the file although their table is there. Finds nothing if that migration has no snapshot. Changes
 * nothing.
 */
export async function findMissingIndexes(client: Client, options: JournalOptions): Promise<MissingIndex[]> {
  const resolved = resolveJournalOptions("findMissingIndexes", options);
  const journal = loadJournal(resolved);
  const query = clientQuery(client);
  return asStorageErrors(async () => {
    const { last, applied } = (await lookUp(query, journal, resolved)).comparison;
    const wanted = last === undefined ? undefined : indexesAfter(journal, last);
    if (wanted === undefined || wanted.size === 0) return [];
    const schema = toSchema(await query(SCHEMA_QUERY));
    const present = new Set(schema.map(keyOf));
    const tables = relations(schema);
    const created = new Set<string>();
    for (const { ddl } of applied.flatMap((migration) => readScript(migration).statements)) {
      if (ddl?.action === "create" && ddl.type === "index") created.add(fold(ddl.name));
      // The snapshot of a handwritten migration still has an index that it drops by name.
      if (ddl?.action === "drop" && ddl.type === "index") created.delete(fold(ddl.name));
    }
    return [...wanted]
      .map(([name, table]) => ({ type: "index", name, table }) as const)
      .filter((index) => created.has(index.name) && tables.has(fold(index.table)) && !present.has(keyOf(index)));
  });
}
