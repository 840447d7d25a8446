import type { Connection } from "../client/local/connection.js";
import { quoteName } from "../client/sql/quote.js";
import { fold } from "./schema-objects.js";

/** A row whose parent is missing. */
export interface Violation {
  readonly table: string;
  readonly parent: string;
  readonly rowid: bigint | null;
}

/** The table renames of a script, in order. */
export type Renames = readonly { readonly from: string; readonly to: string }[];

/** New violations, by table. */
export interface NewViolations {
  readonly table: string;
  readonly rows: number;
}

export function findViolations(connection: Connection): Violation[] {
  // Checks each table separately: a key that does not match a parent key makes the check throw, which would hide
  // violations in other tables.
  const children = connection.query("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%references%'");
  return children.flatMap(([name]) => checkTable(connection, name as string));
}

/**
 * Compares by row and parent. Rows without a rowid are compared by their number, and so are those of a table that a
 * rebuild may have renumbered (`touched`, in lower case).
 *
 * `renames` are the renames since `before`, so that a table is compared with its earlier self.
 */
export function newViolations(
  before: readonly Violation[],
  after: readonly Violation[],
  touched: ReadonlySet<string>,
  renames: Renames,
): NewViolations[] {
  const old = before.map((violation) => follow(violation, renames));
  const known = countBy(old, rowKey);
  const found: NewViolations[] = [];
  for (const table of new Set(after.map((violation) => fold(violation.table)))) {
    const isHere = (violation: Violation) => fold(violation.table) === table;
    const present = after.filter(isHere);
    const more = present.length - old.filter(isHere).length;
    let fresh = 0;
    for (const [key, rows] of countBy(present, rowKey)) fresh += Math.max(0, rows - (known.get(key) ?? 0));
    const rows = touched.has(table) ? Math.min(fresh, more) : fresh;
    if (rows > 0) found.push({ table: present[0]!.table, rows });
  }
  return found;
}

function checkTable(connection: Connection, table: string): Violation[] {
  try {
    const rows = connection.query(`PRAGMA foreign_key_check(${quoteName(table)})`);
    return rows.map(([child, rowid, parent]) => ({
      table: child as string,
      parent: parent as string,
      rowid: rowid as bigint | null,
    }));
  } catch (error) {
    if (!/foreign key mismatch/.test((error as Error).message)) throw error;
    // No row can be checked. A key that newly does not match is refused by its name, see `assertCompiles`.
    return [];
  }
}

function follow(violation: Violation, renames: Renames): Violation {
  const now = (name: string) =>
    renames.reduce((current, { from, to }) => (fold(current) === fold(from) ? to : current), name);
  return { ...violation, table: now(violation.table), parent: now(violation.parent) };
}

function rowKey({ table, parent, rowid }: Violation): string {
  return `${fold(table)}\0${fold(parent)}\0${rowid}`;
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return counts;
}
