import type { Client } from "@libsql/client";
import { quoteName } from "../client/sql/quote.js";
import { asStorageErrors } from "../client/storage-error.js";
import { clientQuery, readLedger } from "./ledger.js";
import { DEFAULT_TABLE } from "./options.js";
import { isHoldfasts } from "./plan.js";
import { fold, SCHEMA_QUERY, toSchema } from "./schema-objects.js";

/** The ledger of migrations that are not Holdfast's. */
export interface OtherLedger {
  readonly table: string;
  /** How many applied migrations it has. */
  readonly entries: number;
}

/** The columns of drizzle's ledger with their types: those of 0.45, of 1.0, and of one that 1.0 has upgraded. */
const FORMS: ReadonlySet<string> = new Set([
  "id serial,hash text,created_at numeric",
  "id integer,hash text,created_at numeric,name text,applied_at text",
  "id serial,hash text,created_at numeric,name text,applied_at text",
]);

/** Finds the ledgers of drizzle's form that do not belong to Holdfast's own migrations. Changes nothing. */
export async function findOtherLedgers(client: Client): Promise<OtherLedger[]> {
  const query = clientQuery(client);
  return asStorageErrors(async () => {
    const found: OtherLedger[] = [];
    for (const { type, name, sql } of toSchema(await query(SCHEMA_QUERY))) {
      if (type !== "table" || !/\bcreated_at\b/i.test(sql)) continue;
      const columns = await query(`PRAGMA table_info(${quoteName(name)})`);
      if (!FORMS.has(columns.map((column) => fold(`${column[1]} ${column[2]}`)).join())) continue;
      const ledger = (await readLedger(query, name)) ?? [];
      // After a revert of all of them, Holdfast's ledger is empty.
      if (fold(name) === DEFAULT_TABLE && (ledger.length === 0 || isHoldfasts(ledger))) continue;
      found.push({ table: name, entries: ledger.length });
    }
    return found;
  });
}
