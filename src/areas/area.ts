import type { AnyColumn, SQL } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import type { SearchTarget } from "../search/request.js";
import type { RepositoryContext } from "./context.js";
import type { Executor } from "./executor.js";
import type { RowReader } from "./read-all.js";
import type { Statement } from "./statements.js";

/** Reads the database. A check in its own process can only execute statements. */
export type Reader = RowReader;

/** A schema of zod, as far as an import needs it. */
export interface LineSchema {
  parse(value: unknown): unknown;
}

/** A record for an export, as a JSON value. */
export interface OutgoingRecord {
  readonly project: string;
  readonly record: unknown;
}

/** A record of an import, checked, and ready to be stored. */
export interface IncomingRecord {
  readonly id: string;
  /** Unique among the records of its project and area; the id, unless ids of several kinds may be equal. */
  readonly key: string;
  /** The statements that store all of it if the project has no record of that key. */
  readonly statements: readonly Statement[];
  /** The statements that replace the existing record. Without them, the existing record is removed first. */
  readonly replacement?: readonly Statement[];
}

/** A record with a wrong checksum, with derived columns that do not match its values, or with text in place of JSON. */
export interface DamagedRecord {
  readonly project: string;
  readonly id: string;
  /** The part that does not match: "checksum", "vector", "search text", "JSON". */
  readonly part: string;
  /** The row that holds it. */
  readonly table: string;
  readonly rowId: number;
}

/** The findings of one page of a check. */
export interface CheckedPage {
  /** Rows looked at. */
  readonly read: number;
  readonly records: readonly DamagedRecord[];
}

/** A table whose rows each belong to a project. */
export type ProjectTable = SQLiteTable & { readonly project: AnyColumn };

/**
 * All that a storage, its maintenance and the CLI know of one area; a record is a whole one, with the rows that belong to it.
 *
 * `Repository` is what the storage, its projects and its transactions give under `name`.
 */
export interface Area<Name extends string = string, Repository = unknown> {
  readonly name: Name;
  /** Its tables, in the order in which `health` counts their rows. A database without the first one lacks the area. */
  readonly tables: readonly [ProjectTable, ...ProjectTable[]];
  /** The same tables, in the order in which `purgeProject` empties them. @default that of `tables` */
  readonly purgeOrder?: readonly ProjectTable[];
  /** Those with a row for each record, which `salvage` counts. */
  readonly recordTables: readonly ProjectTable[];
  /** The tables that a keyword search of this area reads. */
  readonly searchTargets: readonly SearchTarget[];
  /** The `project` of each row that counts as a record in `projects()`, and how many `records` it counts for. */
  readonly counted: SQL;
  /** Whether `prune` reaches it where no area is named. */
  readonly isPrunedByDefault: boolean;
  /** Binds the repository to a project and an executor. */
  open(context: RepositoryContext): Repository;
  /** The ids that a purge of the project announces. */
  ids(project: string): SQL;
  /** The table with one row, and the column `project`, for each line of an export. */
  readonly table: SQL;
  /** All records, or those of one project, deleted ones included; in pages, and in an order that can be stored. */
  pages(reader: Reader, project: string | undefined): AsyncIterable<readonly OutgoingRecord[]>;
  /** Loads the schema of its lines, which only an import does: zod loads slowly (bench: startUp). */
  loadLine(): Promise<{ readonly line: LineSchema }>;
  /** Checks a line that matches the schema further; throws an error that says what is wrong. */
  parse(context: RepositoryContext, line: unknown): IncomingRecord;
  /**
   * The tables or queries in which an import looks for the records that the project has, deleted ones included, by the
   * prefix of their keys. Their columns are `project` and `id`.
   */
  readonly existing: Readonly<Record<string, SQL>>;
  /** Applies the effects of a replacement on other records, in the transaction of the context; throws if it is not allowed. */
  settle?(context: RepositoryContext, key: string): Promise<void>;
  /** Removes a record for good, in the transaction of the context. */
  remove(context: RepositoryContext, key: string): Promise<void>;
  /**
   * `project`, `row_id`, `key`, `id`, `is_deleted`, `updated_at` and content `bytes` of all records that may be pruned, or those
   * of one project. Without a project, one is found by its `row_id` at once.
   */
  prunable(project: string | undefined): SQL;
  /** Compares every record with its checksum and derived columns, or looks for JSON that is none; reads the whole area. */
  damaged(reader: Reader): AsyncIterable<CheckedPage>;
  /**
   * Indexes the contents again. Each step is a transaction, and yields the number of rows read so far. The caller empties
   * the full-text tables that keep no content before, and rebuilds the others afterwards.
   */
  rederive(executor: Executor): AsyncIterable<number>;
}
