import { quoteName } from "../../client/sql/quote.js";
import { BREAKPOINT, splitParts } from "../script.js";
import type { Index, Snapshot } from "./snapshot.js";

/** The SQL of drizzle-kit without its faults. */
export interface RepairedSql {
  readonly sql: string;
  /** What was changed, for the person who generates the migration. */
  readonly notes: readonly string[];
}

const CREATE_INDEX = /^\s*CREATE (?:UNIQUE )?INDEX `(.+?)` ON `(.+?)` /;
const ADD_REFERENCE = /^(\s*ALTER TABLE `(.+?)` ADD `(.+?)` .*) REFERENCES \S+?\(.+?\)(?= NOT NULL| DEFAULT|;|\s*$)/s;
const CREATE_NEW = /^\s*CREATE TABLE `__new_(.+?)` \(/;

/**
 * Repairs what drizzle-kit 0.31 is known to write wrongly, with the help of the snapshot that it wrote next to it:
 *
 * - It quotes an expression of an index like the name of a column.
 * - It leaves out ON DELETE and ON UPDATE where it adds a column with a foreign key.
 * - It forgets to rename a column of a table that it also rebuilds, and then copies a column that does not exist.
 *
 * `completeForward` repairs the lists of columns that a rebuild copies, for which it needs the schema.
 */
export function repairSql(sql: string, snapshot: Snapshot): RepairedSql {
  const notes: string[] = [];
  const parts = splitParts(sql).flatMap(({ text }) => {
    const forgotten = forgottenRenames(text, sql, snapshot);
    notes.push(...forgotten.map((rename) => `added a rename that the rebuild lost: ${rename}`));
    const repaired = withReference(withExpressions(text, snapshot), snapshot);
    if (repaired !== text) notes.push(`corrected: ${repaired.trim()}`);
    return [...forgotten.map((rename) => `${text.startsWith("\n") ? "\n" : ""}${rename}`), repaired];
  });
  return { sql: parts.join(BREAKPOINT), notes };
}

function withExpressions(part: string, { tables }: Snapshot): string {
  const [, name, tableName] = CREATE_INDEX.exec(part) ?? [];
  const table = tables[tableName ?? ""];
  const index = table?.indexes[name ?? ""];
  if (table === undefined || index === undefined) return part;
  if (index.columns.every((column) => column in table.columns)) return part;
  return `${/^\s*/.exec(part)![0]}${indexSql(index, tableName!, (column) => column in table.columns)}`;
}

function indexSql(
  { name, columns, isUnique, where }: Index,
  table: string,
  isColumn: (name: string) => boolean,
): string {
  const list = columns.map((column) => (isColumn(column) ? quote(column) : column)).join(",");
  const condition = where === undefined ? "" : ` WHERE ${where}`;
  return `CREATE ${isUnique ? "UNIQUE " : ""}INDEX ${quote(name)} ON ${quote(table)} (${list})${condition};`;
}

function withReference(part: string, { tables }: Snapshot): string {
  const found = ADD_REFERENCE.exec(part);
  if (found === null) return part;
  const [whole, start, table, column] = found as unknown as [string, string, string, string];
  const key = Object.values(tables[table]?.foreignKeys ?? {}).find(({ columnsFrom }) => columnsFrom.join() === column);
  if (key === undefined) return part;
  const { tableTo, columnsTo, onDelete = "no action", onUpdate = "no action" } = key;
  if (onDelete === "no action" && onUpdate === "no action") return part;
  const actions = [
    ...(onUpdate === "no action" ? [] : [`ON UPDATE ${onUpdate}`]),
    ...(onDelete === "no action" ? [] : [`ON DELETE ${onDelete}`]),
  ];
  const reference = `REFERENCES ${quote(tableTo)}(${columnsTo.map(quote).join(",")}) ${actions.join(" ")}`;
  return `${start} ${reference}${part.slice(whole.length)}`;
}

/** The renames of columns that a rebuild of their table takes the place of. */
function forgottenRenames(part: string, sql: string, { tables, _meta }: Snapshot): string[] {
  const table = CREATE_NEW.exec(part)?.[1];
  if (table === undefined) return [];
  return Object.entries(_meta?.columns ?? {}).flatMap(([from, to]) => {
    const [, owner, name] = SPLIT.exec(to) ?? [];
    const old = SPLIT.exec(from)?.[2];
    if (owner !== table || old === undefined || !(name! in tables[table]!.columns)) return [];
    const isWritten = splitParts(sql).some(
      ({ text }) => /RENAME COLUMN/i.test(text) && text.includes(table) && text.includes(old) && text.includes(name!),
    );
    return isWritten ? [] : [`ALTER TABLE ${quote(table)} RENAME COLUMN ${quote(old)} TO ${quote(name!)};`];
  });
}

/** A column in the snapshot's list of renames. */
const SPLIT = /^"(.+)"\."(.+)"$/;

/** A name as drizzle-kit writes it. */
function quote(name: string): string {
  return name.includes("`") ? quoteName(name) : `\`${name}\``;
}
