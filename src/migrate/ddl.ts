export type SchemaObjectType = "table" | "index" | "trigger" | "view";

/** The effect of a statement on the schema, as far as a table rebuild is concerned. */
export type Ddl =
  | { readonly action: "create"; readonly type: SchemaObjectType; readonly name: string; readonly table: string }
  | { readonly action: "drop"; readonly type: SchemaObjectType; readonly name: string }
  | { readonly action: "rename"; readonly from: string; readonly to: string };

const GAP = String.raw`(?:\s|--[^\n]*(?:\n|$)|/\*[\s\S]*?\*/)`;
const NAME = String.raw`("(?:[^"]|"")*"|${"`"}(?:[^${"`"}]|${"``"})*${"`"}|\[[^\]]*\]|'(?:[^']|'')*'|[\w$\u0080-\uffff]+)`;
const QUALIFIED = `(?:(?:main|"main"|\`main\`)${GAP}*\\.${GAP}*)?${NAME}`;

const CREATE = new RegExp(
  `^CREATE${GAP}+(?:(?:UNIQUE|VIRTUAL)${GAP}+)?(TABLE|INDEX|TRIGGER|VIEW)${GAP}+(?:IF${GAP}+NOT${GAP}+EXISTS${GAP}+)?${QUALIFIED}`,
  "i",
);
const DROP = new RegExp(`^DROP${GAP}+(TABLE|INDEX|TRIGGER|VIEW)${GAP}+(?:IF${GAP}+EXISTS${GAP}+)?${QUALIFIED}`, "i");
const RENAME = new RegExp(`^ALTER${GAP}+TABLE${GAP}+${QUALIFIED}${GAP}+RENAME${GAP}+TO${GAP}+${NAME}`, "i");
const RENAME_COLUMN = new RegExp(
  `^ALTER${GAP}+TABLE${GAP}+${QUALIFIED}${GAP}+RENAME${GAP}+(?:COLUMN${GAP}+)?${NAME}${GAP}+TO\\b`,
  "i",
);
const ON_TABLE = new RegExp(`\\bON${GAP}*${NAME}`, "i");

/**
 * Parses one statement, which starts with its first word. Returns undefined if it does not change the schema's objects.
 */
export function readDdl(sql: string): Ddl | undefined {
  const created = CREATE.exec(sql);
  if (created !== null) {
    const type = created[1]!.toLowerCase() as SchemaObjectType;
    const name = unquote(created[2]!);
    const on = type === "index" || type === "trigger" ? ON_TABLE.exec(sql.slice(created[0].length))?.[1] : undefined;
    return { action: "create", type, name, table: on === undefined ? name : unquote(on) };
  }
  const dropped = DROP.exec(sql);
  if (dropped !== null) {
    return { action: "drop", type: dropped[1]!.toLowerCase() as SchemaObjectType, name: unquote(dropped[2]!) };
  }
  const renamed = RENAME.exec(sql);
  return renamed === null ? undefined : { action: "rename", from: unquote(renamed[1]!), to: unquote(renamed[2]!) };
}

/** Whether a statement renames a column, which SQLite then renames in triggers, views and indexes too. */
export function renamesColumn(sql: string): boolean {
  return RENAME_COLUMN.test(sql);
}

function unquote(name: string): string {
  const first = name[0]!;
  if (first === "[") return name.slice(1, -1);
  if (first !== '"' && first !== "`" && first !== "'") return name;
  return name.slice(1, -1).replaceAll(first + first, first);
}
