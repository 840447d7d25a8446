import { splitMigration } from "../script.js";
import type { Kit } from "./kit.js";
import { repairSql } from "./repairs.js";
import { emptySnapshot, type Snapshot, type Table, type Tables } from "./snapshot.js";

/** A rename of a table or of a column by a migration. */
interface Rename {
  readonly table: string;
  readonly column?: string;
  readonly to: string;
}

const NAME = '["`[]?([^"`\\]\\s]+)["`\\]]?';
const RENAME_TABLE = new RegExp(`^ALTER\\s+TABLE\\s+${NAME}\\s+RENAME\\s+TO\\s+${NAME}`, "i");
const RENAME_COLUMN = new RegExp(`^ALTER\\s+TABLE\\s+${NAME}\\s+RENAME\\s+COLUMN\\s+${NAME}\\s+TO\\s+${NAME}`, "i");

/**
 * Returns candidate down migrations from `after` to `before` as statements, the better one first. Returns none if the
 * snapshots are equal, because only a person can revert custom SQL.
 *
 * Renames of the forward SQL are reversed. The rest is the difference of the snapshots in the other direction. It is
 * generated in two steps, first the drops and then the additions: with both in one step, drizzle-kit would ask at the
 * terminal whether it is a rename.
 */
export async function waysBack(
  { generateSql }: Pick<Kit, "generateSql">,
  before: Snapshot,
  after: Snapshot,
  forwardSql: string,
): Promise<string[][]> {
  const renames = readRenames(forwardSql);
  const statements = renames.toReversed().map(renameBackSql);
  const renamed = renames.toReversed().reduce(undoRename, structuredClone(after));
  adoptNames(renamed, before);
  const between = withoutNew(before, renamed);
  const ways = [
    [...statements, ...(await diff(generateSql, renamed, between)), ...(await diff(generateSql, between, before))],
    [...statements, ...(await rebuildSql(generateSql, renamed, before))],
  ];
  return ways[0]!.length === 0 ? [] : ways;
}

async function diff(generate: Kit["generateSql"], from: Snapshot, to: Snapshot): Promise<string[]> {
  const statements = await generate(from, to);
  return statements.map((statement) => repairSql(onlyCommonColumns(statement, from, to), to).sql);
}

/**
 * drizzle-kit's rebuild copies all columns of the new table. A column that the old table lacks would be filled with its
 * name, and a generated column cannot be filled.
 */
function onlyCommonColumns(statement: string, from: Snapshot, to: Snapshot): string {
  const copy = /^INSERT INTO `__new_(.+?)`\((.*)\) SELECT (.*) FROM `(.+?)`;$/s.exec(statement);
  const table = copy === null ? undefined : from.tables[copy[4]!];
  if (copy === null || table === undefined) return statement;
  const isStored = (column: string) =>
    column in table.columns && to.tables[copy[4]!]?.columns[column]?.generated === undefined;
  const names = copy[3]!.split(", ").filter((name) => isStored(name.slice(1, -1)));
  return copySql(copy[4]!, names);
}

function copySql(table: string, names: readonly string[]): string {
  return `INSERT INTO \`__new_${table}\`(${names.join(", ")}) SELECT ${names.join(", ")} FROM \`${table}\`;`;
}

/** For changes that ALTER TABLE cannot make, although drizzle-kit tries: dropping a column with a foreign key. */
async function rebuildSql(generate: Kit["generateSql"], from: Snapshot, to: Snapshot): Promise<string[]> {
  const statements: string[] = [];
  for (const [name, table] of Object.entries(to.tables)) {
    const old = from.tables[name];
    if (JSON.stringify(old) === JSON.stringify(table)) continue;
    const alone = { ...emptySnapshot(to), tables: { [name]: table } };
    const made = await generate(emptySnapshot(to), alone);
    const [create, ...indexes] = made.map((statement) => repairSql(statement, alone).sql);
    if (old === undefined) statements.push(create!, ...indexes);
    else {
      const common = Object.values(table.columns)
        .filter(({ name: column, generated }) => column in old.columns && generated === undefined)
        .map(({ name: column }) => column);
      statements.push(
        create!
          .replace(`CREATE TABLE \`${name}\``, `CREATE TABLE \`__new_${name}\``)
          .replaceAll(`"${name}".`, `"__new_${name}".`),
        copySql(
          name,
          common.map((column) => `"${column}"`),
        ),
        `DROP TABLE \`${name}\`;`,
        `ALTER TABLE \`__new_${name}\` RENAME TO \`${name}\`;`,
        ...indexes,
      );
    }
  }
  const gone = Object.keys(from.tables).filter((name) => !(name in to.tables));
  return [...statements, ...gone.map((name) => `DROP TABLE \`${name}\`;`)];
}

function readRenames(sql: string): Rename[] {
  return splitMigration(sql).flatMap(({ sql: statement }): Rename[] => {
    const column = RENAME_COLUMN.exec(statement);
    if (column !== null) return [{ table: column[1]!, column: column[2]!, to: column[3]! }];
    const table = RENAME_TABLE.exec(statement);
    // This name belongs to a rebuild.
    if (table === null || table[1]!.startsWith("__new_")) return [];
    return [{ table: table[1]!, to: table[2]! }];
  });
}

function renameBackSql({ table, column, to }: Rename): string {
  if (column === undefined) return `ALTER TABLE \`${to}\` RENAME TO \`${table}\`;`;
  return `ALTER TABLE \`${table}\` RENAME COLUMN \`${to}\` TO \`${column}\`;`;
}

/** Returns the snapshot as if the rename had not been made, including the names that SQLite changes by itself. */
function undoRename(snapshot: Snapshot, rename: Rename): Snapshot {
  const { table: name, column, to } = rename;
  const back = (text: string, from: string, into: string) =>
    text.replaceAll(`"${from}"`, `"${into}"`).replaceAll(`\`${from}\``, `\`${into}\``);
  const tables = Object.values(snapshot.tables).map((table) => {
    const isIt = table.name === (column === undefined ? to : name);
    const swap = (value: string) => (value === to ? (column ?? name) : value);
    const columnsOf = (owner: string, columns: string[]) =>
      column !== undefined && owner === name ? columns.map(swap) : columns;
    const text = (value: string) => (isIt ? back(value, to, column ?? name) : value);
    return {
      ...table,
      name: column === undefined ? swap(table.name) : table.name,
      columns: Object.fromEntries(
        Object.values(table.columns).map((one) => {
          const own = column !== undefined && isIt ? swap(one.name) : one.name;
          return [own, { ...one, name: own }];
        }),
      ),
      indexes: mapValues(table.indexes, (index) => ({
        ...index,
        columns: columnsOf(table.name, index.columns),
        ...(index.where === undefined ? {} : { where: text(index.where) }),
      })),
      foreignKeys: mapValues(table.foreignKeys, (key) => ({
        ...key,
        tableFrom: column === undefined ? swap(key.tableFrom) : key.tableFrom,
        tableTo: column === undefined ? swap(key.tableTo) : key.tableTo,
        columnsFrom: columnsOf(key.tableFrom, key.columnsFrom),
        columnsTo: columnsOf(key.tableTo, key.columnsTo),
      })),
      compositePrimaryKeys: mapValues(table.compositePrimaryKeys, (key) => ({
        ...key,
        columns: columnsOf(table.name, key.columns),
      })),
      checkConstraints: mapValues(table.checkConstraints, (check) => ({ ...check, value: text(check.value) })),
    };
  });
  return { ...snapshot, tables: Object.fromEntries(tables.map((table) => [table.name, table])) as Tables };
}

/** Foreign keys and composite keys are named after their contents. Keys with the same contents are the same key. */
function adoptNames(snapshot: Snapshot, target: Snapshot): void {
  for (const [name, table] of Object.entries(snapshot.tables)) {
    const wanted = target.tables[name];
    if (wanted === undefined) continue;
    table.foreignKeys = adopt(table.foreignKeys, wanted.foreignKeys);
    table.compositePrimaryKeys = adopt(table.compositePrimaryKeys, wanted.compositePrimaryKeys);
  }
}

function adopt<T extends { name?: string | undefined }>(
  own: Record<string, T>,
  theirs: Record<string, T>,
): Record<string, T> {
  const shape = ({ name: _, ...rest }: T) => JSON.stringify(rest);
  return Object.fromEntries(
    Object.entries(own).map(([key, value]) => {
      const same = Object.entries(theirs).find(([, other]) => shape(other) === shape(value));
      return same ?? [key, value];
    }),
  );
}

/**
 * Returns `target` without the tables and columns that `present` lacks, and without the objects that depend on them.
 */
function withoutNew(target: Snapshot, present: Snapshot): Snapshot {
  const tables: Tables = {};
  for (const [name, table] of Object.entries(target.tables)) {
    const old = present.tables[name];
    if (old !== undefined) tables[name] = withoutColumns(table, (column) => column in old.columns);
  }
  return {
    ...target,
    tables,
    views: Object.fromEntries(Object.entries(target.views).filter(([name]) => name in present.views)),
  };
}

function withoutColumns(table: Table, isThere: (column: string) => boolean): Table {
  const gone = Object.keys(table.columns).filter((column) => !isThere(column));
  if (gone.length === 0) return table;
  const all = (columns: readonly string[]) => columns.every((column) => !gone.includes(column));
  const mentionsNone = (text: string) => !gone.some((column) => new RegExp(`\\b${column}\\b`).test(text));
  return {
    ...table,
    columns: filterValues(table.columns, ({ name }) => isThere(name)),
    indexes: filterValues(table.indexes, ({ columns, where = "" }) => all(columns) && mentionsNone(where)),
    foreignKeys: filterValues(table.foreignKeys, ({ columnsFrom }) => all(columnsFrom)),
    compositePrimaryKeys: filterValues(table.compositePrimaryKeys, ({ columns }) => all(columns)),
    checkConstraints: filterValues(table.checkConstraints, ({ value }) => mentionsNone(value)),
  };
}

function mapValues<T>(record: Record<string, T>, map: (value: T) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}

function filterValues<T>(record: Record<string, T>, isWanted: (value: T) => boolean): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => isWanted(value)));
}
