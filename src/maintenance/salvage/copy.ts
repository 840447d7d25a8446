import { Connection } from "../../client/connection.js";
import type { NativeValue } from "../../client/native.js";
import { quoteName } from "../../client/quote.js";
import { parseStatement } from "../../client/sql.js";
import { primaryCode } from "../../client/sqlite-error.js";
import { isFullText } from "../../migrate/full-text.js";
import {
  type Column,
  columnsOf,
  fits,
  isKeptByAnother,
  isVirtual,
  isWithoutRowId,
  keepsItsText,
  type SchemaObject,
} from "./schema.js";
import { BAD_TEXT, type TreeRow, type Trees, type Value } from "./trees.js";

/** What is known of one table of the damaged file. */
export interface CopiedTable {
  readonly name: string;
  readonly isOwn: boolean;
  /** Row ids of rows that the table has or had, as far as any page tells; entries of a table without row ids count alike. */
  readonly known: Set<bigint>;
  readonly saved: Set<bigint>;
  /** The highest row id ever given, where neither tree nor index tells which rows there were; else 0. */
  rowIdsGiven: number;
}

export interface CopyResult {
  readonly tables: readonly CopiedTable[];
  /** The `project` and `id` of conversations, by row id, as their index tells. */
  readonly conversationIds: ReadonlyMap<bigint, { readonly project: string; readonly id: string }>;
  readonly notSaved: readonly { readonly name: string; readonly reason: string }[];
}

/** Made from other tables, so it is made again. */
const DERIVED = new Set(["conversation_tags", "story_tags", "story_search", "graph_versions", "__drizzle_migrations"]);
/** Made from the content, so a damaged one harms nothing: it is made again. */
const DERIVED_COLUMNS = new Set(["search_text"]);
const BATCH_ROWS = 1000;

interface Table extends CopiedTable {
  readonly object: SchemaObject | undefined;
  readonly columns: readonly Column[];
  readonly rowIdAt: number;
  readonly hasRowIds: boolean;
  isWhole: boolean;
}

/**
 * Copies every row that can be read into `target`, which has the tables of Holdfast in the version of the file.
 *
 * Pages that nothing leads to any more are given to the table whose tree is damaged and whose columns they fit.
 */
export class Copier {
  readonly #trees: Trees;
  readonly #objects: readonly SchemaObject[];
  readonly #target: Connection;
  readonly #scratch = Connection.open(":memory:", { statementCacheSize: 1 }, []);
  readonly #onRows: (rows: number) => void;
  readonly #notSaved: { name: string; reason: string }[] = [];
  readonly #statements = new Map<string, ReturnType<typeof parseStatement>>();
  #rows = 0;

  constructor(trees: Trees, objects: readonly SchemaObject[], target: Connection, onRows: (rows: number) => void) {
    this.#trees = trees;
    this.#objects = objects;
    this.#target = target;
    this.#onRows = onRows;
  }

  /** `ownTables` are those of Holdfast, `ownNames` all that its migrations ever make, in whatever version the file is. */
  copy(ownTables: readonly string[], ownNames: readonly string[]): CopyResult {
    this.#target.exec("BEGIN");
    const own = ownTables.filter((name) => !DERIVED.has(name)).flatMap((name) => this.#ownTable(name));
    // The other tables of the migrations are indexes, or help triggers: they are made again, also by later migrations.
    const foreign = this.#foreignTables(new Set([...ownNames, ...DERIVED]));
    const tables = [...own, ...foreign];
    for (const table of tables) this.#copyTable(table);
    this.#placeStrays(tables);
    const conversationIds = new Map<bigint, { project: string; id: string }>();
    const untraced = new Set<string>();
    for (const table of tables) {
      if (table.isWhole && table.known.size === table.saved.size) continue;
      if (!this.#readIndexes(table, conversationIds) && !table.isWhole) untraced.add(table.name);
    }
    this.#copySequence(tables.filter(({ name }) => untraced.has(name)));
    this.#makeOthers(new Set(ownTables));
    this.#target.exec("COMMIT");
    this.#scratch.close();
    return { tables, conversationIds, notSaved: this.#notSaved };
  }

  #ownTable(name: string): Table[] {
    const target = columnsOf(this.#target, name);
    // One that the version of the file does not have.
    if (target.length === 0) return [];
    const object = this.#objects.find(({ type, name: other }) => type === "table" && other === name);
    const columns = object === undefined ? target : (this.#columnsIn(object) ?? target);
    // A ledger that has lost its last rows makes the file seem older than it is: a column that is not there yet is left
    // out, as a generated one is.
    const present = new Set(target.map((column) => column.name));
    const copied = columns.map((column) => (present.has(column.name) ? column : { ...column, isGenerated: true }));
    return [this.#table(name, object, copied, true)];
  }

  #foreignTables(known: ReadonlySet<string>): Table[] {
    const tables: Table[] = [];
    for (const object of this.#objects) {
      const { type, name, sql } = object;
      if (type !== "table" || known.has(name) || isVirtual(sql) || isKeptByAnother(name, this.#objects)) continue;
      const columns = this.#columnsIn(object);
      if (columns === undefined) {
        this.#notSaved.push({ name, reason: "what made the table cannot be read" });
        continue;
      }
      this.#target.exec(sql);
      tables.push(this.#table(name, object, columns, false));
    }
    return tables;
  }

  #columnsIn({ name, sql }: SchemaObject): Column[] | undefined {
    try {
      this.#scratch.exec(sql);
      return columnsOf(this.#scratch, name);
    } catch {
      return undefined;
    }
  }

  #table(name: string, object: SchemaObject | undefined, declared: readonly Column[], isOwn: boolean): Table {
    const hasRowIds = object === undefined || !isWithoutRowId(object.sql);
    // Records of a table without row ids begin with its key.
    const columns = hasRowIds
      ? declared
      : [
          ...declared.filter(({ keyPlace }) => keyPlace > 0).sort((a, b) => a.keyPlace - b.keyPlace),
          ...declared.filter(({ keyPlace }) => keyPlace === 0),
        ];
    const keys = columns.filter(({ keyPlace }) => keyPlace > 0);
    const rowIdAt = hasRowIds && keys.length === 1 && keys[0]!.type === "INTEGER" ? columns.indexOf(keys[0]!) : -1;
    const isWhole = object !== undefined;
    return {
      name,
      isOwn,
      known: new Set(),
      saved: new Set(),
      rowIdsGiven: 0,
      object,
      columns,
      rowIdAt,
      hasRowIds,
      isWhole,
    };
  }

  #copyTable(table: Table): void {
    if (table.object === undefined) return;
    const damaged = () => {
      table.isWhole = false;
    };
    for (const row of this.#trees.rows(table.object.root, damaged)) this.#copyRow(table, row);
  }

  #placeStrays(tables: readonly Table[]): void {
    const open = tables.filter(({ isWhole, hasRowIds }) => !isWhole && hasRowIds);
    if (open.length === 0) return;
    for (const { number, rows } of this.#trees.strayLeaves()) {
      const owners = open.filter((table) =>
        rows.every(({ values }) => values === undefined || this.#fits(table, values)),
      );
      // Of the caller's tables, several may look alike; a page of one must not end up in another.
      const owner = owners.find(({ isOwn }) => isOwn) ?? (owners.length === 1 ? owners[0] : undefined);
      if (owner === undefined || rows.every(({ values }) => values === undefined)) continue;
      this.#trees.keep(number);
      for (const row of rows) this.#copyRow(owner, row);
    }
  }

  #fits({ columns, rowIdAt, isOwn, saved }: Table, values: readonly Value[]): boolean {
    if (isOwn) return fits(values, columns, rowIdAt);
    return saved.size > 0 && values.length === columns.length && fits(values, columns, rowIdAt);
  }

  #copyRow(table: Table, { rowId, values }: TreeRow): void {
    const { columns, rowIdAt, hasRowIds, known, saved, isOwn } = table;
    const key = hasRowIds ? rowId : BigInt(known.size + 1);
    // Rows older than a column that was added to the table are shorter.
    const own = columns.slice(0, values?.length);
    if (isOwn && values !== undefined && !fits(values, own, rowIdAt)) {
      // A page of something else to which a damaged pointer leads.
      table.isWhole = false;
      return;
    }
    known.add(key);
    if (values === undefined || values.length > columns.length) return;
    const names: string[] = hasRowIds && rowIdAt < 0 ? ["rowid"] : [];
    const row: NativeValue[] = names.length > 0 ? [rowId] : [];
    for (const [at, column] of own.entries()) {
      if (column.isGenerated) continue;
      names.push(quoteName(column.name));
      const value = at === rowIdAt ? rowId : (values[at] ?? null);
      if (value === BAD_TEXT) {
        if (!isOwn || !DERIVED_COLUMNS.has(column.name)) return;
        row.push("");
      } else row.push(value as NativeValue);
    }
    const sql = `INSERT INTO ${quoteName(table.name)} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`;
    if (this.#insert(sql, row)) saved.add(key);
  }

  /** False where there is such a row already: of two, the one that was found by its tree came first. */
  #insert(sql: string, values: readonly NativeValue[]): boolean {
    const statement = this.#statements.get(sql) ?? parseStatement(sql);
    this.#statements.set(sql, statement);
    try {
      this.#target.execute(statement, values, "bigint");
    } catch (error) {
      const CONSTRAINT = 19;
      if (primaryCode(error) !== CONSTRAINT) throw error;
      return false;
    }
    if (++this.#rows % BATCH_ROWS === 0) {
      this.#target.exec("COMMIT; BEGIN");
      this.#onRows(this.#rows);
    }
    return true;
  }

  /** An index names the rows of its table, and so those that are lost; false where none could be read to its end. */
  #readIndexes(table: Table, conversationIds: Map<bigint, { project: string; id: string }>): boolean {
    if (!table.hasRowIds) return true;
    let hasWholeIndex = false;
    const ofTable = this.#objects.filter(({ type, table: owner }) => type === "index" && owner === table.name);
    for (const { name, root, sql } of ofTable) {
      if (root === 0 || /\bWHERE\b/i.test(sql)) continue;
      let isWhole = true;
      const damaged = () => {
        isWhole = false;
      };
      for (const { values } of this.#trees.rows(root, damaged)) {
        const rowId = values?.at(-1);
        if (typeof rowId !== "bigint") continue;
        table.known.add(rowId);
        if (name !== "conversations_id") continue;
        const [project, id] = values!;
        if (typeof project === "string" && typeof id === "string") conversationIds.set(rowId, { project, id });
      }
      hasWholeIndex ||= isWhole;
    }
    const documents = this.#objects.find(({ name }) => name === `${table.name}_fts_docsize`);
    if (table.isOwn && documents !== undefined) {
      for (const { rowId } of this.#trees.rows(documents.root, () => undefined)) table.known.add(rowId);
    }
    return hasWholeIndex;
  }

  /** So that no row gets an id that a row had before; for `untraced` tables it says as well how many rows there were. */
  #copySequence(untraced: readonly Table[]): void {
    const object = this.#objects.find(({ name }) => name === "sqlite_sequence");
    if (object === undefined) return;
    for (const { values } of this.#trees.rows(object.root, () => undefined)) {
      const [name, last] = values ?? [];
      if (typeof name !== "string" || typeof last !== "bigint") continue;
      for (const table of untraced.filter((one) => one.name === name)) table.rowIdsGiven = Number(last);
      const update = parseStatement("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?");
      this.#target.execute(update, [last, name], "bigint");
    }
  }

  /** Indexes, full-text tables, views and triggers of the caller's; in this order, since each may need those before. */
  #makeOthers(ownTables: ReadonlySet<string>): void {
    const present = new Set(this.#target.query("SELECT name FROM sqlite_schema").map(([name]) => String(name)));
    const missing = this.#objects.filter(
      ({ name, sql, table }) => sql !== "" && !present.has(name) && !ownTables.has(table) && !/^sqlite_/i.test(name),
    );
    const isTable = ({ type, sql }: SchemaObject) => type === "table" && isVirtual(sql);
    const kinds = [
      isTable,
      ...["index", "view", "trigger"].map(
        (kind) =>
          ({ type }: SchemaObject) =>
            type === kind,
      ),
    ];
    for (const isKind of kinds) {
      for (const object of missing.filter(isKind)) {
        try {
          this.#makeOther(object);
        } catch (error) {
          this.#notSaved.push({ name: object.name, reason: (error as Error).message });
        }
      }
    }
  }

  #makeOther({ name, sql }: SchemaObject): void {
    if (isVirtual(sql) && !isFullText(sql)) {
      this.#notSaved.push({ name, reason: "only full-text tables of FTS5 are copied among the virtual ones" });
      return;
    }
    this.#target.exec(sql);
    if (!isVirtual(sql)) return;
    const quoted = quoteName(name);
    if (!keepsItsText(sql)) {
      this.#target.exec(`INSERT INTO ${quoted}(${quoted}) VALUES('rebuild')`);
      return;
    }
    const texts = this.#objects.find((object) => object.name === `${name}_content`);
    if (texts === undefined) return;
    const columns = columnsOf(this.#target, name).filter(({ name: column }) => column !== name && column !== "rank");
    const all = ["rowid", ...columns.map((column) => quoteName(column.name))];
    const insert = `INSERT INTO ${quoted} (${all.join(", ")}) VALUES (${all.map(() => "?").join(", ")})`;
    for (const { rowId, values } of this.#trees.rows(texts.root, () => undefined)) {
      if (values === undefined || values.length !== all.length || values.includes(BAD_TEXT)) continue;
      this.#insert(insert, [rowId, ...(values.slice(1) as NativeValue[])]);
    }
  }
}
