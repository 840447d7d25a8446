import { quoteName, quoteText } from "../client/sql/quote.js";
import type { Addition } from "./rebuilds.js";
import { fold, SCHEMA_QUERY, type SchemaObject, toSchema } from "./schema-objects.js";
import type { MigrationStatement } from "./script.js";

/** A foreign key that changes its rows when the row that they refer to is deleted or gets another key. */
interface Action {
  readonly child: string;
  readonly parent: string;
  /** The columns of the child, and those of the parent that they refer to. */
  readonly columns: readonly (readonly [from: string, to: string])[];
  readonly onUpdate: string;
  readonly onDelete: string;
}

interface Trigger {
  /** What follows its name in CREATE TRIGGER. */
  readonly body: string;
  /** The parent. */
  readonly object: SchemaObject;
}

type Query = (sql: string) => readonly ArrayLike<unknown>[];

/**
 * Lets the rows of a migration cascade. While migrations run, foreign keys are off, because a rebuild would otherwise
 * delete the children of a table. SQLite then ignores ON DELETE and ON UPDATE, so triggers take their place around the
 * statements that delete or update rows, unless the migration has switched foreign keys off itself.
 */
export class Cascades {
  readonly #query: Query;
  #installed: Addition[] = [];

  constructor(query: Query) {
    this.#query = query;
  }

  /** Returns the statements to run before a statement of the migration. */
  before({ sql, ddl, enforcesKeys }: MigrationStatement): Addition[] {
    const changesRows = ddl === undefined && /^(WITH|INSERT|REPLACE|UPDATE|DELETE|SELECT)\b/i.test(sql);
    if (!changesRows || !enforcesKeys) return this.end();
    if (this.#installed.length > 0 || !/\b(UPDATE|DELETE)\b/i.test(sql)) return [];
    const objects = toSchema(this.#query(SCHEMA_QUERY));
    const created = actionsOf(this.#query, objects).flatMap((action) => triggersOf(this.#query, action, objects));
    const named = created.map((trigger, index) => ({ ...trigger, name: `__holdfast_cascade_${index}` }));
    this.#installed = named.map(({ name, object }) => ({ sql: `DROP TRIGGER ${name}`, object }));
    return named.map(({ name, body, object }) => ({ sql: `CREATE TRIGGER ${name} ${body}`, object }));
  }

  /** Returns the statements to run after the last one. */
  end(): Addition[] {
    const dropped = this.#installed;
    this.#installed = [];
    return dropped;
  }
}

function actionsOf(query: Query, schema: readonly SchemaObject[]): Action[] {
  const children = schema.filter(({ type, sql }) => type === "table" && /\breferences\b/i.test(sql));
  return children.flatMap(({ name: child }) => {
    const keys = new Map<
      string,
      { parent: string; onUpdate: string; onDelete: string; from: string[]; to: string[] }
    >();
    for (const row of query(`PRAGMA foreign_key_list(${quoteName(child)})`)) {
      const [id, , parent, from, to, onUpdate, onDelete] = Array.from(row, (value) => String(value ?? "")) as string[];
      const key = keys.get(id!) ?? { parent: parent!, onUpdate: onUpdate!, onDelete: onDelete!, from: [], to: [] };
      keys.set(id!, key);
      key.from.push(from!);
      if (to !== "") key.to.push(to!);
    }
    return [...keys.values()].flatMap(({ parent, onUpdate, onDelete, from, to }) => {
      const columns = to.length > 0 ? to : primaryKey(query, parent);
      if (!isAction(onUpdate) && !isAction(onDelete)) return [];
      // A foreign key that does not work is not for the migration to follow.
      if (columns.length !== from.length) return [];
      return [
        { child, parent, onUpdate, onDelete, columns: from.map((one, index) => [one, columns[index]!] as const) },
      ];
    });
  });
}

function isAction(action: string): boolean {
  return /^(CASCADE|SET NULL|SET DEFAULT)$/.test(action);
}

function primaryKey(query: Query, table: string): string[] {
  const rows = query(`SELECT name FROM pragma_table_info(${quoteText(table)}) WHERE pk > 0 ORDER BY pk`);
  return rows.map((row) => String(row[0]));
}

function triggersOf(query: Query, action: Action, schema: readonly SchemaObject[]): Trigger[] {
  const { child, parent, columns, onUpdate, onDelete } = action;
  const object = schema.find(({ type, name }) => type === "table" && fold(name) === fold(parent));
  if (object === undefined) return [];
  const on = quoteName(object.name);
  const target = quoteName(child);
  const refers = columns.map(([from, to]) => `old.${quoteName(to)} = ${quoteName(from)}`).join(" AND ");
  const set = (value: (from: string, to: string) => string) =>
    `UPDATE ${target} SET ${columns.map(([from, to]) => `${quoteName(from)} = ${value(from, to)}`).join(", ")} WHERE ${refers}`;
  const without = (kind: string) => set((from) => (kind === "SET NULL" ? "NULL" : defaultOf(query, child, from)));
  const triggers: Trigger[] = [];
  if (isAction(onDelete)) {
    const isSelf = fold(child) === fold(parent);
    const gone = isSelf ? descendants(target, columns) : refers;
    const change = onDelete === "CASCADE" ? `DELETE FROM ${target} WHERE ${gone}` : without(onDelete);
    triggers.push({ body: `AFTER DELETE ON ${on} BEGIN ${change}; END`, object });
  }
  if (isAction(onUpdate)) {
    const change = onUpdate === "CASCADE" ? set((_, to) => `new.${quoteName(to)}`) : without(onUpdate);
    const moved = columns.map(([, to]) => `old.${quoteName(to)} IS NOT new.${quoteName(to)}`).join(" OR ");
    triggers.push({ body: `AFTER UPDATE ON ${on} WHEN ${moved} BEGIN ${change}; END`, object });
  }
  return triggers;
}

/** A condition for all rows below the deleted one. A trigger does not fire itself again for each level. */
function descendants(table: string, columns: Action["columns"]): string {
  const from = columns.map(([one]) => quoteName(one));
  const to = columns.map(([, one]) => quoteName(one));
  const key = columns.map((_, index) => `k${index}`);
  const joined = from.map((one, index) => `t.${one} = d.k${index}`).join(" AND ");
  const first = to.map((one) => `old.${one}`).join(", ");
  const next = to.map((one) => `t.${one}`).join(", ");
  return `(${from.join(", ")}) IN (WITH RECURSIVE d(${key.join(", ")}) AS (VALUES(${first}) UNION SELECT ${next} FROM ${table} t JOIN d ON ${joined}) SELECT ${key.join(", ")} FROM d)`;
}

function defaultOf(query: Query, table: string, column: string): string {
  const condition = `name = ${quoteText(column)} COLLATE NOCASE`;
  const [row] = query(`SELECT dflt_value FROM pragma_table_info(${quoteText(table)}) WHERE ${condition}`);
  return row?.[0] === null || row === undefined ? "NULL" : `(${String(row[0])})`;
}
