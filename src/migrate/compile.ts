import type { Connection } from "../client/local/connection.js";
import { tokens, unquote } from "../client/sql/parse.js";
import { quoteName, quoteText } from "../client/sql/quote.js";
import { LruCache } from "../shared/lru-cache.js";
import { type Failing, migrationFailed } from "./failure.js";
import type { Renames } from "./foreign-keys.js";
import { contentOf, contentRowidOf, isFullText } from "./full-text.js";
import { MemorySchema } from "./memory-schema.js";
import { fold, keyOf, mentions, SCHEMA_QUERY, type SchemaObject, toSchema } from "./schema-objects.js";

/** A trigger, view, full-text table or foreign key that SQLite refuses when it is used. */
interface Broken {
  readonly type: "trigger" | "view" | "table" | "foreign key";
  readonly name: string;
  /** The table that a trigger or a foreign key belongs to. */
  readonly table: string;
  readonly why: string;
}

const remembered = new LruCache<readonly Broken[]>({ max: 20 });

/**
 * Compiles everything that SQLite compiles only when it is used: each view, each trigger with the statement that fires
 * it, the columns that a full-text table reads, and the parent key of each foreign key. Needs nothing but the schema.
 */
export function findBroken(schema: readonly SchemaObject[]): readonly Broken[] {
  const key = schema.map(({ sql }) => sql).join("\0");
  const known = remembered.get(key);
  if (known !== undefined) return known;
  const found = compile(schema);
  remembered.set(key, found);
  return found;
}

/** The state after a script, as far as a comparison needs it. */
export interface ScriptResult {
  readonly script: Failing;
  readonly schema: readonly SchemaObject[];
  /** The keys of the objects that were re-created after a rebuild. */
  readonly restored: ReadonlySet<string>;
  readonly renames: Renames;
}

/**
 * Throws MIGRATION_FAILED if something does not compile after a run of scripts that compiled before them, and names the
 * script that broke it.
 */
export function assertCompiles(before: readonly SchemaObject[], run: readonly ScriptResult[]): void {
  const after = run.at(-1)?.schema ?? before;
  if (findBroken(after).length === 0) return;
  const renames = run.flatMap((result) => result.renames);
  const known = new Set(findBroken(before).map((one) => brokenKey(one, renames)));
  const [first, ...others] = findBroken(after).filter((one) => !known.has(brokenKey(one)));
  if (first === undefined) return;
  const isBroken = ({ schema }: ScriptResult) => findBroken(schema).some((one) => brokenKey(one) === brokenKey(first));
  const { script, restored } = run.find(isBroken) ?? run.at(-1)!;
  const more = others.length === 0 ? "" : `; the same is true of ${others.map(describe).join(", ")}`;
  const what = restored.has(keyOf(first))
    ? `loses the ${first.type} ${first.name} by rebuilding a table, and the ${first.type} no longer fits the new table; drop or replace it in the migration`
    : `leaves ${describe(first)} that no longer works; change or drop it in the migration`;
  throw migrationFailed(script, what, { cause: new Error(first.why), why: `${first.why}${more}` });
}

/** Names a broken object in a message. */
export function describe({ type, name, table }: Broken): string {
  if (type === "trigger") return `the trigger ${name} of ${table}`;
  if (type === "foreign key") return `the foreign key of ${table} to ${name}`;
  return type === "view" ? `the view ${name}` : `the full-text table ${name}`;
}

/** Statements that compile an object without running it. */
export function probes(
  connection: Pick<Connection, "query">,
  { type, name, table }: Pick<SchemaObject, "type" | "name" | "table">,
): string[] {
  if (type === "view") return [`EXPLAIN SELECT * FROM ${quoteName(name)}`];
  if (type !== "trigger") return [];
  const schema = toSchema(connection.query(SCHEMA_QUERY));
  const isTable = schema.some((object) => object.type === "table" && fold(object.name) === fold(table));
  return isTable ? Object.values(firingSql(connection, table)) : [];
}

/** For each event of a trigger, a statement that fires it. */
function firingSql(schema: { query(sql: string): ArrayLike<unknown>[] }, table: string) {
  const target = quoteName(table);
  return {
    INSERT: `EXPLAIN INSERT INTO ${target} DEFAULT VALUES`,
    UPDATE: `EXPLAIN UPDATE ${target} SET ${writableColumns()
      .map((column) => `${quoteName(column)} = ${quoteName(column)}`)
      .join(", ")}`,
    DELETE: `EXPLAIN DELETE FROM ${target}`,
  };

  function writableColumns(): string[] {
    const columns = schema.query(`PRAGMA table_xinfo(${target})`);
    return columns.filter((column) => Number(column[6]) === 0).map((column) => String(column[1]));
  }
}

function compile(schema: readonly SchemaObject[]): Broken[] {
  const memory = new MemorySchema(schema, { withTriggers: false });
  try {
    const missing = memory.skipped.filter(({ type }) => type === "table" || type === "view");
    // Objects that need something that cannot be copied are not checked.
    const judged = schema.filter((object) => !missing.some(({ name }) => mentions(object.sql, name)));
    return [
      ...judged.filter(({ type }) => type === "view").flatMap((view) => compileView(memory, view)),
      ...judged.filter(({ type }) => type === "trigger").flatMap((trigger) => compileTrigger(memory, trigger)),
      ...judged
        .filter(({ type, sql }) => type === "table" && isFullText(sql))
        .flatMap((table) => readContent(memory, table)),
      ...findParentless(memory, judged),
    ];
  } finally {
    memory.close();
  }
}

function compileView(memory: MemorySchema, view: SchemaObject): Broken[] {
  const why = failureOf(() => memory.exec(`EXPLAIN SELECT * FROM ${quoteName(view.name)}`));
  return why === undefined ? [] : [{ type: "view", name: view.name, table: view.name, why }];
}

/** Compiles each trigger alone: with the other triggers of its table, the fault of one would be reported for all. */
function compileTrigger(memory: MemorySchema, { name, table, sql }: SchemaObject): Broken[] {
  const { event, columns } = readEvent(sql);
  const why = failureOf(() => {
    memory.exec(sql);
    try {
      memory.exec(firingSql({ query: (text) => memory.query(text) }, table)[event]);
    } finally {
      memory.exec(`DROP TRIGGER ${quoteName(name)}`);
    }
    const known = columnsOf(memory, table);
    const unknown = columns.find((column) => !known.has(fold(column)));
    // SQLite accepts such a trigger, and never fires it.
    if (unknown !== undefined) throw new Error(`no such column: ${table}.${unknown}`);
  });
  return why === undefined ? [] : [{ type: "trigger", name, table, why }];
}

/** The event of a trigger, and the columns of `UPDATE OF`. */
function readEvent(sql: string): { event: "INSERT" | "UPDATE" | "DELETE"; columns: string[] } {
  const all = [...tokens(sql)];
  // The name comes third, and may be one of these words.
  const at = all.findIndex(({ text }, index) => index > 2 && /^(INSERT|UPDATE|DELETE)$/i.test(text));
  const event = (all[at]?.text.toUpperCase() ?? "INSERT") as "INSERT" | "UPDATE" | "DELETE";
  const columns: string[] = [];
  if (all[at + 1]?.text.toUpperCase() === "OF") {
    for (const token of all.slice(at + 2)) {
      if (token.type === "word" && token.text.toUpperCase() === "ON") break;
      if (token.text !== ",") columns.push(unquote(token));
    }
  }
  return { event, columns };
}

/** A full-text table reads its content only on a query. */
function readContent(memory: MemorySchema, { name, sql }: SchemaObject): Broken[] {
  const content = contentOf(sql);
  if (content === "") return [];
  const why = failureOf(() => {
    const columns = memory.query(`SELECT name FROM pragma_table_xinfo(${quoteText(name)}) WHERE hidden = 0`);
    const wanted = [contentRowidOf(sql), ...columns.map(([column]) => String(column))];
    // Without the table's name, SQLite reads the name of a missing column as text.
    memory.exec(
      `EXPLAIN SELECT ${wanted.map((column) => `T.${quoteName(column)}`).join(", ")} FROM ${quoteName(content)} AS T`,
    );
  });
  return why === undefined ? [] : [{ type: "table", name, table: name, why: why.replace("T.", `${content}.`) }];
}

/** Foreign keys whose parent is missing or has no key of their columns. */
function findParentless(memory: MemorySchema, schema: readonly SchemaObject[]): Broken[] {
  const broken: Broken[] = [];
  const children = schema.filter(({ type, sql }) => type === "table" && /\breferences\b/i.test(sql));
  for (const child of children) {
    const keys = new Map<string, { parent: string; from: string[]; to: (string | null)[] }>();
    for (const [id, parent, from, to] of memory.query(
      `SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(${quoteText(child.name)}) ORDER BY id, seq`,
    )) {
      const key = keys.get(String(id)) ?? { parent: String(parent), from: [], to: [] };
      keys.set(String(id), key);
      key.from.push(String(from));
      key.to.push(to === null ? null : String(to));
    }
    for (const { parent, from, to } of keys.values()) {
      const why = whyNoKey(memory, parent, from.length, to);
      if (why !== undefined) broken.push({ type: "foreign key", name: parent, table: child.name, why });
    }
  }
  return broken;
}

function whyNoKey(memory: MemorySchema, parent: string, count: number, to: readonly (string | null)[]) {
  const columns = memory.query(`SELECT name, pk FROM pragma_table_xinfo(${quoteText(parent)})`);
  if (columns.length === 0) return `no such table: ${parent}`;
  const primary = columns.filter(([, pk]) => Number(pk) > 0).map(([name]) => fold(String(name)));
  if (to.includes(null)) {
    return primary.length === count ? undefined : `${parent} has no primary key of ${count} columns`;
  }
  const wanted = new Set(to.map((column) => fold(column!)));
  const isWanted = (key: readonly string[]) => key.length === wanted.size && key.every((column) => wanted.has(column));
  if (isWanted(primary)) return undefined;
  const unique = memory.query(
    `SELECT l.name, i.name FROM pragma_index_list(${quoteText(parent)}) l JOIN pragma_index_info(l.name) i WHERE l."unique" AND NOT l.partial`,
  );
  const indexes = new Map<string, string[]>();
  for (const [index, column] of unique) {
    indexes.set(String(index), [...(indexes.get(String(index)) ?? []), fold(String(column))]);
  }
  if ([...indexes.values()].some(isWanted)) return undefined;
  return `${parent} has no primary key or unique index of ${to.join(", ")}`;
}

function columnsOf(memory: MemorySchema, table: string): ReadonlySet<string> {
  return new Set(memory.query(`PRAGMA table_xinfo(${quoteName(table)})`).map(([, name]) => fold(String(name))));
}

function failureOf(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return (error as Error).message.replace(/^SQLITE_\w+: /, "");
  }
}

function brokenKey({ type, name, table }: Broken, renames: Renames = []): string {
  if (type !== "foreign key") return keyOf({ type, name });
  const now = (one: string) =>
    renames.reduce((current, { from, to }) => (current === fold(from) ? fold(to) : current), fold(one));
  return `${type} ${now(table)} ${now(name)}`;
}
