import { Connection } from "../../client/local/connection.js";
import type { NativeValue } from "../../client/local/native.js";
import { parseStatement } from "../../client/sql/parse.js";
import { quoteName } from "../../client/sql/quote.js";
import { primaryCode } from "../../client/sql/sqlite-error.js";
import { fits, isRowId, ownValue } from "./rows.js";
import {
  type Column,
  columnsOf,
  isKeptByAnother,
  isVirtual,
  isWithoutRowId,
  make,
  type OwnObject,
  type SchemaObject,
} from "./schema.js";
import { BAD_TEXT, type TreeRow, type Trees, type Value } from "./trees.js";

/** The counts of one table of the damaged file. */
interface CopiedTable {
  readonly name: string;
  readonly isOwn: boolean;
  /** The least number of rows that it had: the most that its tree or one of its indexes shows. */
  readonly least: number;
  /** The most rows that it had; null if no sound page says so. */
  readonly most: number | null;
}

/** A table, index, view or trigger of the caller's own that is not in the new file. */
export interface NotSaved {
  readonly name: string;
  readonly reason: string;
}

export interface ConversationIds {
  readonly byRowId: ReadonlyMap<bigint, { readonly project: string; readonly id: string }>;
  /** Whether the index could be read to its end: a row id that it does not have is one of no conversation. */
  areAll: boolean;
}

export interface CopyResult {
  readonly tables: readonly CopiedTable[];
  /** The `project` and `id` of conversations from their index. */
  readonly conversationIds: ConversationIds;
  readonly notSaved: readonly NotSaved[];
}

/** Tables made from others, which are rebuilt. */
const DERIVED = new Set([
  "conversation_tags",
  "story_tags",
  "story_search",
  "graph_versions",
  "vector_versions",
  "__drizzle_migrations",
]);
const BATCH_ROWS = 1000;

interface Table {
  readonly name: string;
  readonly isOwn: boolean;
  readonly object: SchemaObject | undefined;
  readonly columns: readonly Column[];
  readonly rowIdAt: number;
  readonly hasRowIds: boolean;
  /** Whether its tree has been read without any damage. */
  isWhole: boolean;
  rows: number;
  least: number;
  /** The counts of the tree and the indexes without damage. */
  readonly exact: number[];
  /** The highest row id that was ever given, from sqlite_sequence. */
  rowIdsGiven: number | null;
}

/**
 * Copies every row that can be read into `target`, which has the tables of Holdfast in the version of the file.
 *
 * A page without a parent goes to the table whose tree is damaged and whose columns its rows fit. If a row cannot be
 * stored, only that row is lost.
 */
export class Copier {
  readonly #trees: Trees;
  readonly #objects: readonly SchemaObject[];
  readonly #own: ReadonlyMap<string, OwnObject>;
  readonly #target: Connection;
  readonly #scratch = Connection.open(":memory:", { statementCacheSize: 1 }, []);
  readonly #onRows: (rows: number) => void;
  readonly #notSaved: NotSaved[] = [];
  readonly #statements = new Map<string, ReturnType<typeof parseStatement>>();
  readonly #conversationIds = { byRowId: new Map<bigint, { project: string; id: string }>(), areAll: false };
  #rows = 0;

  /** `own` is everything that the migrations of Holdfast make, in any version of the file. */
  constructor(
    trees: Trees,
    objects: readonly SchemaObject[],
    own: ReadonlyMap<string, OwnObject>,
    target: Connection,
    onRows: (rows: number) => void,
  ) {
    this.#trees = trees;
    this.#objects = objects;
    this.#own = own;
    this.#target = target;
    this.#onRows = onRows;
  }

  /** With `isSchemaWhole`, a table that the schema does not name did not exist. */
  copy(ownTables: readonly string[], isSchemaWhole: boolean): CopyResult {
    this.#target.exec("BEGIN");
    const own = ownTables.filter((name) => !DERIVED.has(name)).flatMap((name) => this.#ownTable(name));
    // The other tables of the migrations are indexes or help triggers. They are rebuilt, also by later migrations.
    const tables = [...own, ...this.#foreignTables(new Set([...this.#own.keys(), ...DERIVED]))];
    for (const table of tables) this.#copyTable(table, isSchemaWhole);
    for (const table of tables) this.#readIndexes(table);
    this.#claimOthers(tables);
    this.#placeStrays(tables);
    this.#copySequence(tables);
    this.#target.exec("COMMIT");
    this.#scratch.close();
    this.#onRows(this.#rows);
    return { tables: tables.map(toCopied), conversationIds: this.#conversationIds, notSaved: this.#notSaved };
  }

  #ownTable(name: string): Table[] {
    const target = columnsOf(this.#target, name);
    // The version of the file does not have this table.
    if (target.length === 0) return [];
    const object = this.#objects.find(({ type, name: other }) => type === "table" && other === name);
    const known = new Set(this.#own.get(name)?.columns);
    const declared = object === undefined ? undefined : this.#columnsIn(object);
    // The CREATE statement may be damaged too: columns that no version has are ignored.
    const columns = declared?.every((column) => known.has(column.name)) ? declared : target;
    // A ledger that has lost its last rows makes the file seem older than it is: a column that is not there yet is left
    // out, as a generated one is.
    const present = new Map(target.map((column) => [column.name, column]));
    const copied = columns.map((column) => present.get(column.name) ?? { ...column, isGenerated: true });
    return [this.#table(name, object, copied, true)];
  }

  #foreignTables(known: ReadonlySet<string>): Table[] {
    const tables: Table[] = [];
    for (const object of this.#objects) {
      const { type, name, sql } = object;
      if (type !== "table" || known.has(name) || isVirtual(sql) || isKeptByAnother(name, this.#objects)) continue;
      const columns = this.#columnsIn(object) ?? [];
      try {
        if (columns.length === 0) throw new Error("what made the table cannot be read");
        make(this.#target, sql);
        tables.push(this.#table(name, object, columns, false));
      } catch (error) {
        this.#notSaved.push({ name, reason: (error as Error).message });
      }
    }
    return tables;
  }

  #columnsIn({ name, sql }: SchemaObject): Column[] | undefined {
    try {
      make(this.#scratch, sql);
      return columnsOf(this.#scratch, name);
    } catch {
      return undefined;
    }
  }

  #table(name: string, object: SchemaObject | undefined, declared: readonly Column[], isOwn: boolean): Table {
    const hasRowIds = isOwn || object === undefined || !isWithoutRowId(object.sql);
    // Records of a table without row ids begin with its key.
    const columns = hasRowIds
      ? declared
      : [
          ...declared.filter(({ keyPlace }) => keyPlace > 0).sort((a, b) => a.keyPlace - b.keyPlace),
          ...declared.filter(({ keyPlace }) => keyPlace === 0),
        ];
    const keys = columns.filter(({ keyPlace }) => keyPlace > 0);
    const rowIdAt = hasRowIds && keys.length === 1 && keys[0]!.type === "INTEGER" ? columns.indexOf(keys[0]!) : -1;
    const counts = { isWhole: true, rows: 0, least: 0, exact: [], rowIdsGiven: null };
    return { name, isOwn, object, columns, rowIdAt, hasRowIds, ...counts };
  }

  #copyTable(table: Table, isSchemaWhole: boolean): void {
    if (table.object === undefined) table.isWhole = isSchemaWhole;
    else {
      const damaged = () => {
        table.isWhole = false;
      };
      const kind = table.hasRowIds ? "table" : "index";
      // The order of these keys depends on the declaration of the table.
      const options = table.hasRowIds ? undefined : { between: undefined };
      for (const row of this.#trees.rows(table.object.root, kind, damaged, options)) this.#copyRow(table, row);
    }
    table.least = table.rows;
    if (table.isWhole) table.exact.push(table.rows);
  }

  /** The entries of an index show how many rows its table had. */
  #readIndexes(table: Table): void {
    const ofTable = this.#objects.filter(({ type, table: owner }) => type === "index" && owner === table.name);
    for (const { name, root, sql } of ofTable) {
      if (root === 0) continue;
      const isPartial = /\bWHERE\b/i.test(sql);
      const { rows, isWhole } = this.#count(root, "index", table.isOwn, ({ values }) => {
        if (name !== "conversations_id" || values?.length !== 3) return;
        const [project, id, rowId] = values;
        if (typeof project === "string" && typeof id === "string" && typeof rowId === "bigint") {
          this.#conversationIds.byRowId.set(rowId, { project, id });
        }
      });
      table.least = Math.max(table.least, rows);
      if (isWhole && !isPartial) table.exact.push(rows);
      if (name === "conversations_id") this.#conversationIds.areAll = isWhole;
    }
    // The full-text index of one of the tables of Holdfast has an entry for each row at most.
    const documents = this.#objects.find(({ name }) => name === `${table.name}_fts_docsize`);
    if (!table.isOwn || documents === undefined) return;
    table.least = Math.max(table.least, this.#count(documents.root, "table", true, () => undefined).rows);
  }

  #count(root: number, kind: "table" | "index", isOrdered: boolean, onRow: (row: TreeRow) => void) {
    let rows = 0;
    let isWhole = true;
    const damaged = () => {
      isWhole = false;
    };
    for (const row of this.#trees.rows(root, kind, damaged, isOrdered ? undefined : { between: undefined })) {
      if (row.isSure) rows++;
      onRow(row);
    }
    return { rows, isWhole };
  }

  /** Reads the tables that are rebuilt, so that their pages do not count as pages without a table. */
  #claimOthers(tables: readonly Table[]): void {
    if (!tables.some(isOpen)) return;
    const copied = new Set(tables.map(({ name }) => name));
    for (const { type, name, root, sql } of this.#objects) {
      if (type !== "table" || root === 0 || copied.has(name)) continue;
      this.#count(root, isWithoutRowId(sql) ? "index" : "table", false, () => undefined);
    }
  }

  #placeStrays(tables: readonly Table[]): void {
    const open = tables.filter((table) => isOpen(table) && table.hasRowIds);
    if (open.length === 0) return;
    for (const { number, rows } of this.#trees.strayLeaves()) {
      const owner = this.#ownerOf(rows, open);
      if (owner === undefined) continue;
      this.#trees.keep(number);
      for (const row of rows) this.#copyRow(owner, row);
    }
  }

  /** The table of Holdfast that most rows fit; or the table of the caller that all rows fit, if it is the only one. */
  #ownerOf(rows: readonly TreeRow[], tables: readonly Table[]): Table | undefined {
    const readable = rows.flatMap(({ values }) => (values === undefined ? [] : [values]));
    const fitting = ({ name, columns, rowIdAt }: Table) =>
      readable.filter((values) => fits(name, values, columns.slice(0, values.length), rowIdAt)).length;
    let best: { readonly table: Table; readonly count: number } | undefined;
    for (const table of tables.filter(({ isOwn }) => isOwn)) {
      const count = fitting(table);
      if (count * 2 > readable.length && count > (best?.count ?? 0)) best = { table, count };
    }
    if (best !== undefined) return best.table;
    const alike = tables.filter(
      (table) =>
        !table.isOwn &&
        table.rows > 0 &&
        readable.every((values) => values.length === table.columns.length) &&
        fitting(table) === readable.length,
    );
    return alike.length === 1 ? alike[0] : undefined;
  }

  #copyRow(table: Table, { rowId, values, isSure }: TreeRow): void {
    const { name, columns, rowIdAt, hasRowIds, isOwn } = table;
    // Rows older than a column that was added to the table are shorter.
    const own = columns.slice(0, values?.length);
    if (isOwn && values !== undefined && !fits(name, values, own, rowIdAt)) {
      // This is damage, or a page of another table to which a damaged pointer leads.
      table.isWhole = false;
      return;
    }
    if (isSure) table.rows++;
    if (values === undefined || values.length > columns.length || (isOwn && !isRowId(rowId))) return;
    const names: string[] = hasRowIds && rowIdAt < 0 ? ["rowid"] : [];
    const row: NativeValue[] = names.length > 0 ? [rowId] : [];
    for (const [at, column] of own.entries()) {
      if (column.isGenerated) continue;
      names.push(quoteName(column.name));
      const value = at === rowIdAt ? rowId : (values[at] ?? null);
      const stored: Value | undefined = isOwn ? ownValue(name, column, value) : value;
      if (stored === undefined || stored === BAD_TEXT) return;
      row.push(stored as NativeValue);
    }
    this.#insert(
      `INSERT INTO ${quoteName(name)} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`,
      row,
    );
  }

  /** A row that cannot be stored is lost. Of two rows with one key, the one that its tree led to comes first. */
  #insert(sql: string, values: readonly NativeValue[]): void {
    const statement = this.#statements.get(sql) ?? parseStatement(sql);
    this.#statements.set(sql, statement);
    try {
      this.#target.execute(statement, values, "bigint");
    } catch (error) {
      if (!isRowFault(error)) throw error;
      return;
    }
    if (++this.#rows % BATCH_ROWS === 0) {
      this.#target.exec("COMMIT; BEGIN");
      this.#onRows(this.#rows);
    }
  }

  /** Copies the highest ids, so that no row gets an id that was used before. */
  #copySequence(tables: readonly Table[]): void {
    const object = this.#objects.find(({ name }) => name === "sqlite_sequence");
    if (object === undefined) return;
    for (const { values } of this.#trees.rows(object.root, "table", () => undefined)) {
      const [name, last] = values ?? [];
      if (typeof name !== "string" || typeof last !== "bigint" || last < 0n) continue;
      const table = tables.find((one) => one.name === name);
      if (table === undefined || (table.isOwn && !isRowId(last))) continue;
      table.rowIdsGiven = Number(last);
      const update = parseStatement("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?");
      this.#target.execute(update, [last, name], "bigint");
    }
  }
}

/** Whether rows of the table may be on pages without a parent. */
function isOpen({ isWhole, rows, least }: Table): boolean {
  return !isWhole || rows < least;
}

function toCopied({ name, isOwn, least, exact, rowIdsGiven }: Table): CopiedTable {
  const most = exact.length > 0 ? Math.max(...exact) : rowIdsGiven;
  return { name, isOwn, least, most: most === null ? null : Math.max(most, least) };
}

/** Whether the values of a row are why it cannot be stored; other errors are faults of the new file. */
export function isRowFault(error: unknown): boolean {
  // An error, too big, a constraint, a mismatch of types.
  return error instanceof TypeError || error instanceof RangeError || [1, 18, 19, 20].includes(primaryCode(error) ?? 0);
}
