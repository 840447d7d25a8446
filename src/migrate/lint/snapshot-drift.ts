import type { LocalClient } from "../../client/local/local-client.js";
import { fold } from "../schema-objects.js";
import { readColumns } from "./columns.js";
import { finding, type LintFinding } from "./finding.js";
import type { ColumnJson, SnapshotJson } from "./snapshot-findings.js";

const ADVICE =
  "Change the schema, take the edited migration back with `drizzle-kit drop` and generate it again; if it is released, generate the next one now";

/**
 * Reports where the tables that the migrations have built on `client` differ from the last snapshot. drizzle-kit compares
 * the schema with the snapshot only, so it never creates what is missing, and undoes what was changed by hand.
 */
export async function* findDrift(
  client: LocalClient,
  { path, snapshot }: { readonly path: string; readonly snapshot: SnapshotJson },
): AsyncGenerator<LintFinding> {
  const report = (message: string) => finding(path, "SCHEMA_DRIFT", message);
  const missing = (what: string) =>
    report(
      `The last snapshot has ${what}, and the migrations do not create it, so drizzle-kit never will. Write a migration that creates it, or generate this one again`,
    );
  const has = await readColumns(client);
  for (const { name: table, columns } of Object.values(snapshot.tables ?? {})) {
    const now = has.get(fold(table));
    if (now === undefined) {
      yield missing(`the table ${table}`);
      continue;
    }
    for (const [name, wanted] of Object.entries(columns)) {
      const column = now.get(fold(name));
      const what = `the column ${name} of ${table}`;
      if (column === undefined) {
        yield missing(what);
        continue;
      }
      for (const [made, kept] of await differences(client, column, wanted)) {
        yield report(
          `The migrations create ${what} with ${made}, and the last snapshot has it with ${kept}, so drizzle-kit changes it in a later migration. ${ADVICE}`,
        );
      }
    }
    const known = new Set(Object.keys(columns).map(fold));
    for (const name of now.keys()) {
      if (known.has(name)) continue;
      yield report(
        `The migrations create the column ${name} of ${table}, and the last snapshot does not have it, so a rebuild of the table loses it with its values. ${ADVICE}`,
      );
    }
  }
}

/** What the migrations made of a column and what the snapshot says, as far as they differ. */
async function differences(
  client: LocalClient,
  {
    type,
    notNull,
    byDefault,
  }: { readonly type: string; readonly notNull: boolean; readonly byDefault?: string | undefined },
  wanted: ColumnJson,
): Promise<[made: string, kept: string][]> {
  const found: [string, string][] = [];
  if (wanted.type !== undefined && fold(wanted.type) !== type) found.push([`the type ${type}`, wanted.type]);
  // For a key, SQLite and drizzle-kit differ in whether they say so.
  if (wanted.notNull !== undefined && wanted.primaryKey !== true && wanted.notNull !== notNull) {
    const words = ["NULL allowed", "NOT NULL"] as const;
    found.push([words[Number(notNull)]!, words[Number(wanted.notNull)]!]);
  }
  const { default: given } = wanted;
  // A generated column has none, and a snapshot may hold an object that is no SQL.
  if (typeof given === "object" && given !== null) return found;
  const kept = given === undefined || given === null ? undefined : String(given);
  if (!(await isSameDefault(client, byDefault, kept))) {
    const words = (sql: string | undefined) => (sql === undefined ? "no default" : `DEFAULT ${sql}`);
    found.push([words(byDefault), words(kept)]);
  }
  return found;
}

/** Whether two defaults are written alike, or have the same value: `true` and `1`, `'a'` and `('a')`. */
async function isSameDefault(
  client: LocalClient,
  one: string | undefined,
  other: string | undefined,
): Promise<boolean> {
  if (one === other) return true;
  if (one === undefined || other === undefined) return (one ?? other)!.toUpperCase() === "NULL";
  if (plain(one) === plain(other)) return true;
  try {
    const { rows } = await client.execute(`SELECT (${one}) IS (${other}) AND typeof(${one}) = typeof(${other})`);
    return rows[0]?.[0] === 1;
  } catch {
    // One of them is a name, which SQLite takes for text in a default only.
    return false;
  }
}

/** SQL without its outer parentheses. */
function plain(sql: string): string {
  const text = sql.trim();
  return /^\(.*\)$/s.test(text) ? plain(text.slice(1, -1)) : text;
}
