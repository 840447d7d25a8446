/** Runs queries, and returns the rows of each. */
export type Read = (queries: readonly string[]) => Promise<readonly (readonly ArrayLike<unknown>[])[]>;

/** Everything in a database that a migration must not lose, by what it is: `rows posts`, `trigger posts_insert`. */
export type Contents = Readonly<Record<string, unknown>>;

const SCHEMA = `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT IN ('sqlite_sequence', 'app_migrations') ORDER BY type, name`;
const REFERENCE = /references\w+\(\w+\)(on(update|delete)(noaction|cascade|setnull|setdefault|restrict))*/;
const VOCABULARY = "__vocabulary";

/**
 * Reads a database so that two of them compare equal if they mean the same: the texts of definitions without their
 * quotes and spaces, columns and foreign keys as SQLite reports them, rows by their values.
 */
export async function readContents(read: Read): Promise<Contents> {
  const [schema] = await read([SCHEMA]);
  const objects = schema!.map((row) => Array.from(row, String) as [string, string, string, string]);
  const contents: Record<string, unknown> = {};
  const indexes = objects
    .filter(([type, , , sql]) => type === "table" && /USING fts5/i.test(sql))
    .map(([, name]) => name);
  const isShadow = (name: string) => indexes.some((index) => name.startsWith(`${index}_`));
  for (const [type, name, table, sql] of objects) {
    if (type === "table" && (isShadow(name) || indexes.includes(name))) continue;
    contents[`${type} ${name}`] = type === "table" ? definition(sql) : `${table}: ${plain(sql)}`;
  }
  const tables = objects
    .filter(([type, name]) => type === "table" && `table ${name}` in contents)
    .map(([, name]) => name);
  const facts = await read(
    tables.flatMap((name) => [
      `SELECT name, upper(type), "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(${text(name)})`,
      `SELECT "table", "from", "to", on_update, on_delete, seq FROM pragma_foreign_key_list(${text(name)}) ORDER BY 1, 2, 3`,
    ]),
  );
  for (const [index, name] of tables.entries()) {
    contents[`columns of ${name}`] = (facts[2 * index] ?? []).map((row) => Array.from(row, String).join(" "));
    contents[`foreign keys of ${name}`] = (facts[2 * index + 1] ?? []).map((row) => Array.from(row, String).join(" "));
  }
  const rows = await read(
    tables.map((name, index) => {
      const columns = facts[2 * index]!.map((row) => String(row[0]));
      const values = columns.map((column) => `quote(${quoted(column)})`).join(` || ',' || `);
      return `SELECT ${values} FROM ${quoted(name)} ORDER BY 1`;
    }),
  );
  for (const [index, name] of tables.entries()) contents[`rows ${name}`] = rows[index]!.map((row) => row[0]);
  for (const name of indexes) Object.assign(contents, await readFullText(read, name, objects));
  if (objects.some(([, , , sql]) => /AUTOINCREMENT/i.test(sql))) {
    const [sequences] = await read(["SELECT name, seq FROM sqlite_sequence WHERE seq > 0 ORDER BY name"]);
    for (const row of sequences!) contents[`sequence ${row[0]}`] = Number(row[1]);
  }
  const [orphans] = await read([`SELECT "table", parent FROM pragma_foreign_key_check`]);
  contents.orphans = orphans!.map((row) => Array.from(row, String).join(" "));
  return contents;
}

/** The definition, the settings and the words of a full-text table. It must match its content row by row. */
async function readFullText(read: Read, name: string, objects: readonly (readonly string[])[]): Promise<Contents> {
  const sql = objects.find((object) => object[1] === name)![3]!;
  const hasContent = !/content\s*=\s*''/i.test(sql);
  const [, words, config] = await read([
    `CREATE VIRTUAL TABLE ${VOCABULARY} USING fts5vocab(${text(name)}, 'row')`,
    `SELECT term, doc, cnt FROM ${VOCABULARY} ORDER BY term`,
    `SELECT k, v FROM ${quoted(`${name}_config`)} WHERE k <> 'version' ORDER BY k`,
    `DROP TABLE ${VOCABULARY}`,
    ...(hasContent ? [`INSERT INTO ${quoted(name)}(${quoted(name)}, rank) VALUES ('integrity-check', 1)`] : []),
  ]);
  return {
    [`full text ${name}`]: plain(sql),
    [`words of ${name}`]: words!.map((row) => Array.from(row, String).join(" ")),
    [`settings of ${name}`]: config!.map((row) => Array.from(row, String).join(" ")),
  };
}

/** The keys of what differs. */
export function differences(found: Contents, wanted: Contents): string[] {
  const keys = new Set([...Object.keys(found), ...Object.keys(wanted)]);
  return [...keys].filter((key) => JSON.stringify(found[key]) !== JSON.stringify(wanted[key])).sort();
}

/** The parts of a table's definition, sorted: ADD COLUMN appends behind constraints. */
function definition(sql: string): string[] {
  const body = plain(sql);
  const start = body.indexOf("(");
  const end = body.lastIndexOf(")");
  const parts = [""];
  let depth = 0;
  for (const character of body.slice(start + 1, end)) {
    if (character === "(") depth++;
    if (character === ")") depth--;
    if (character === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += character;
  }
  // Foreign keys are compared as SQLite reports them.
  const others = parts.filter((part) => !part.startsWith("foreignkey(")).map((part) => part.replace(REFERENCE, ""));
  return [...others.sort(), body.slice(0, start), body.slice(end + 1)];
}

function plain(sql: string): string {
  return sql
    .replace(/--.*/g, "")
    .replace(/["`[\]\s;]/g, "")
    .toLowerCase();
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
