import { quoteName, quoteText } from "../client/sql/quote.js";
import { type Ddl, renamesColumn } from "./ddl.js";
import { contentOf, fillSql, isFullText, recreateSql, staleIndexes } from "./full-text.js";
import { fold, keyOf, mentions, relations, SCHEMA_QUERY, type SchemaObject, toSchema } from "./schema-objects.js";

/** What a rebuild that does not create an index again means for it. */
export type IndexVerdict = "keep" | "drop" | "unknown";

/** A statement that is added to a migration, and the object that it keeps. */
export interface Addition {
  readonly sql: string;
  readonly object: SchemaObject;
}

/** A statement of a migration, as far as the schema is concerned. */
interface SchemaStatement {
  readonly sql: string;
  readonly ddl: Ddl | undefined;
}

interface RebuildsOptions {
  /** Reads from the database on which the statements run. */
  readonly query: (sql: string) => readonly ArrayLike<unknown>[];
  /** Returns whether an index that is not created again should exist after the migration. */
  readonly judge: (index: string) => IndexVerdict;
  /** Throws an error about a lost index, if nothing shows whether it was meant to be dropped. */
  readonly refuse: (index: SchemaObject) => never;
}

/**
 * Follows a migration, and finds the statements that keep objects that its table rebuilds and renames would lose.
 *
 * A rebuild (`CREATE __new_x`, `DROP x`, `RENAME __new_x TO x`) drops the triggers and indexes of x and the counter of
 * its AUTOINCREMENT, and leaves a full-text index with other rowids. Each object is read from the schema right before
 * its table is dropped, when SQLite has already rewritten it for every rename. Objects that the migration drops by name
 * stay dropped, and so do objects of a table or view that is not created again.
 *
 * The caller runs every statement on the database that `query` reads: the statements of `before`, the migration's own,
 * those of `after`, and at the end those of `end`.
 */
export class Rebuilds {
  readonly #options: RebuildsOptions;
  readonly #tablesBefore: ReadonlySet<string>;
  /** Triggers and indexes whose table was dropped and is created again. */
  readonly #lost = new Map<string, SchemaObject>();
  /** AUTOINCREMENT tables that were dropped and are created again, by name. */
  readonly #counters = new Map<string, SchemaObject>();
  readonly #dropped = new Set<string>();
  readonly #touched = new Set<string>();
  readonly #renames: { readonly from: string; readonly to: string }[] = [];
  /** Renamed tables as the migration spells them, by their names in lower case. */
  readonly #names = new Map<string, string>();
  readonly #restored = new Set<string>();
  #after: Addition[] = [];

  constructor(options: RebuildsOptions) {
    this.#options = options;
    this.#tablesBefore = tablesOf(this.#read());
  }

  /** Every table, in lower case, that was created, dropped or renamed. */
  get touched(): ReadonlySet<string> {
    return this.#touched;
  }

  /** The tables, in lower case, that were there before and were created again. */
  get rebuilt(): ReadonlySet<string> {
    const tables = [...tablesOf(this.#read())];
    return new Set(tables.filter((name) => this.#touched.has(name) && this.#tablesBefore.has(name)));
  }

  /** The objects that were re-created, by their keys. */
  get restored(): ReadonlySet<string> {
    return this.#restored;
  }

  /** Returns the statements to run before the statement at `index`. */
  before(statements: readonly SchemaStatement[], index: number): Addition[] {
    const { sql, ddl } = statements[index]!;
    const later = statements.slice(index + 1);
    if (ddl?.action === "rename") return this.#beforeRename(ddl, later);
    // SQLite then renames the column in lost objects, too.
    if (ddl === undefined && renamesColumn(sql)) return this.#restore(later);
    if (ddl?.action === "drop" && ddl.type === "table") return this.#beforeDrop(ddl.name, later);
    if (ddl?.action === "drop") this.#lost.delete(keyOf(ddl));
    if (ddl?.action === "create" && ddl.type === "table") {
      this.#touched.add(fold(ddl.name));
      this.#dropped.delete(fold(ddl.name));
    }
    return [];
  }

  /** Returns the statements to run after the same statement. */
  after(): Addition[] {
    const additions = this.#after;
    this.#after = [];
    return additions;
  }

  /** Returns the statements to run after the last one. */
  end(): Addition[] {
    const additions = this.#restore([]);
    const schema = [...this.#read(), ...additions.map(({ object }) => object)];
    const tables = tablesOf(schema);
    for (const object of schema) {
      if (object.type !== "table" || !isFullText(object.sql)) continue;
      const content = contentOf(object.sql);
      const now = this.#follow(content);
      // SQLite does not rename the content of a full-text table.
      if (content === "" || now === content || relations(schema).has(content) || !tables.has(now)) continue;
      additions.push(...recreateSql(object, this.#names.get(now)!).map((sql) => ({ sql, object })));
    }
    for (const object of staleIndexes(schema, this.rebuilt)) additions.push({ sql: fillSql(object.name), object });
    // Tables that were created again and dropped after that.
    for (const object of this.#counters.values()) additions.push({ sql: forgetSql(keptName(object.name)), object });
    return additions;
  }

  #beforeDrop(table: string, later: readonly SchemaStatement[]): Addition[] {
    const name = fold(table);
    this.#touched.add(name);
    this.#dropped.add(name);
    const comesBack = later.some(
      ({ ddl }) =>
        (ddl?.action === "create" && ddl.type === "table" && fold(ddl.name) === name) ||
        (ddl?.action === "rename" && fold(ddl.to) === name),
    );
    if (!comesBack) return [];
    const schema = this.#read();
    for (const object of schema) {
      if (fold(object.table) === name && (object.type === "trigger" || object.type === "index"))
        this.#lost.set(keyOf(object), object);
    }
    const dropped = schema.find((object) => object.type === "table" && fold(object.name) === name);
    if (dropped === undefined || !counts(dropped)) return [];
    const kept = keptName(dropped.name);
    // The counter that an earlier rebuild of this migration has kept goes back to the table first.
    const earlier = this.#counters.get(name);
    const settled = earlier === undefined ? [forgetSql(kept)] : counterSql(dropped, keptName(earlier.name));
    this.#counters.set(name, dropped);
    return [
      ...settled.map((sql) => ({ sql, object: dropped })),
      {
        sql: `INSERT INTO sqlite_sequence (name, seq) SELECT ${quoteText(kept)}, seq FROM sqlite_sequence WHERE name = ${quoteText(dropped.name)}`,
        object: dropped,
      },
    ];
  }

  #beforeRename({ from, to }: { from: string; to: string }, later: readonly SchemaStatement[]): Addition[] {
    this.#touched.add(fold(from)).add(fold(to));
    if (this.#dropped.delete(fold(to))) return this.#moveAside(to);
    const restored = this.#restore(later);
    this.#renames.push({ from: fold(from), to: fold(to) });
    this.#names.set(fold(to), to);
    return restored;
  }

  /**
   * Drops the views and triggers that mention a dropped table until the table is created again, because SQLite would
   * otherwise refuse the RENAME of a rebuild.
   */
  #moveAside(table: string): Addition[] {
    const schema = this.#read();
    const gone = [table];
    const found = new Set<SchemaObject>();
    for (let size = -1; size !== found.size; ) {
      size = found.size;
      for (const object of schema) {
        if ((object.type !== "view" && object.type !== "trigger") || found.has(object)) continue;
        // Dropping a view drops its triggers, and objects that mention a dropped view also prevent the rename.
        if (!gone.some((name) => mentions(object.sql, name))) continue;
        found.add(object);
        if (object.type === "view") gone.push(object.name);
      }
    }
    const objects = [...found].sort((a, b) => Number(a.type === "trigger") - Number(b.type === "trigger"));
    this.#after = objects.map((object) => ({ sql: object.sql, object }));
    return objects
      .toReversed()
      .map((object) => ({ sql: `DROP ${object.type.toUpperCase()} ${quoteName(object.name)}`, object }));
  }

  /** Re-creates lost objects whose table exists again, unless a later statement does. */
  #restore(later: readonly SchemaStatement[]): Addition[] {
    if (this.#lost.size === 0 && this.#counters.size === 0) return [];
    const schema = this.#read();
    const present = new Set(schema.map(keyOf));
    const stands = relations(schema);
    const created = new Set(later.flatMap(({ ddl }) => (ddl?.action === "create" ? [keyOf(ddl)] : [])));
    const additions: Addition[] = [];
    const lost = [...this.#lost].sort(([, a], [, b]) => Number(a.type === "trigger") - Number(b.type === "trigger"));
    for (const [key, object] of lost) {
      if (!stands.has(fold(object.table)) || created.has(key)) continue;
      this.#lost.delete(key);
      if (present.has(key) || (object.type === "index" && !this.#isWanted(object))) continue;
      this.#restored.add(key);
      additions.push({ sql: object.sql, object });
    }
    for (const [name, object] of this.#counters) {
      const table = schema.find((one) => one.type === "table" && fold(one.name) === name);
      if (table === undefined) continue;
      this.#counters.delete(name);
      additions.push(...counterSql(table, keptName(object.name)).map((sql) => ({ sql, object: table })));
    }
    return additions;
  }

  #isWanted(index: SchemaObject): boolean {
    const verdict = this.#options.judge(index.name);
    return verdict === "unknown" ? this.#options.refuse(index) : verdict === "keep";
  }

  #follow(name: string): string {
    return this.#renames.reduce((current, { from, to }) => (current === from ? to : current), name);
  }

  #read(): SchemaObject[] {
    return toSchema(this.#options.query(SCHEMA_QUERY));
  }
}

function tablesOf(schema: readonly SchemaObject[]): ReadonlySet<string> {
  return new Set(schema.filter(({ type }) => type === "table").map(({ name }) => fold(name)));
}

function counts({ sql }: SchemaObject): boolean {
  return /\bAUTOINCREMENT\b/i.test(sql);
}

/** The place in sqlite_sequence for the counter of a table while the table is dropped. */
function keptName(table: string): string {
  return `__kept_${table}`;
}

function forgetSql(kept: string): string {
  return `DELETE FROM sqlite_sequence WHERE name = ${quoteText(kept)}`;
}

/** Sets the counter of a table to the kept one, if that is higher than its own. */
function counterSql(table: SchemaObject, kept: string): string[] {
  const forget = forgetSql(kept);
  if (!counts(table)) return [forget];
  const name = quoteText(table.name);
  return [
    `INSERT INTO sqlite_sequence (name, seq) SELECT ${name}, 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ${name})`,
    `UPDATE sqlite_sequence SET seq = max(seq, (SELECT kept.seq FROM sqlite_sequence AS kept WHERE kept.name = ${quoteText(kept)})) WHERE name = ${name} AND EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ${quoteText(kept)})`,
    forget,
  ];
}
