import { requireAsClient } from "../../files/client-packages.js";
import { quotesNoValue } from "../quoted-values.js";

/** The values that the binding accepts for a parameter; `bind.ts` converts or refuses all others. */
export type NativeValue = null | string | number | bigint | Uint8Array;

/** A prepared statement of `libsql`, as far as the engine uses it. */
export interface NativeStatement {
  readonly reader: boolean;
  raw(on: boolean): this;
  safeIntegers(on: boolean): this;
  all(args: readonly NativeValue[]): unknown[];
  get(args: readonly NativeValue[]): unknown;
  run(args: readonly NativeValue[]): { changes: number; lastInsertRowid: number };
  columns(): { name: string; type: string | null }[];
}

/** A connection of `libsql`. `db` is the handle that its synchronous and its promise-based face share. */
export interface NativeDatabase {
  readonly db: object;
  readonly inTransaction: boolean;
  prepare(sql: string): NativeStatement;
  exec(sql: string): void;
  close(): void;
}

interface NativeOpenOptions {
  readonly encryptionKey?: string;
  /** Longest wait for a lock, in ms; 0 for files, because SQLite's busy handler blocks the event loop. @default 0 */
  readonly timeout?: number;
}

/** A prepared statement whose `all` runs on a thread of the binding up to the first row. */
export interface OffThreadStatement {
  readonly reader: boolean;
  raw(on: boolean): this;
  safeIntegers(on: boolean): this;
  columns(): { name: string; type: string | null }[];
  all(args: readonly NativeValue[]): Promise<unknown[]>;
}

interface AsyncFace {
  readonly prototype: {
    exec(this: { db: object }, sql: string): Promise<void>;
    prepare(this: { db: object }, sql: string): Promise<OffThreadStatement>;
  };
}

// `libsql` is reached through @libsql/client, so that both share one native library: two copies of SQLite
// working on one file in a process drop each other's locks.
const Database = requireAsClient("libsql") as new (path: string, options: NativeOpenOptions) => NativeDatabase;

/** Loaded at the first use, because few processes need it, and it takes as long to load as `libsql` itself. */
const asyncDatabase = () => requireAsClient("libsql/promise") as AsyncFace;

/** Opens a connection. Never call it with a path that holds NUL: the binding aborts the process. */
export function openNative(path: string, options: NativeOpenOptions): NativeDatabase {
  return new Database(path, options);
}

/** Runs `sql` on a thread of the binding, so that a long VACUUM or checkpoint does not block the event loop. */
export function execOffThread(database: NativeDatabase, sql: string): Promise<void> {
  return asyncDatabase().prototype.exec.call({ db: database.db }, sql);
}

/** A statement, or the error that SQLite has for its text. */
export function prepare(database: NativeDatabase, sql: string): NativeStatement {
  try {
    return database.prepare(sql);
  } catch (error) {
    throw quotesNoValue(error);
  }
}

/** Prepares one statement the same way; its rows are arrays, with integers as bigint. */
export async function prepareOffThread(database: NativeDatabase, sql: string): Promise<OffThreadStatement> {
  const statement = await asyncDatabase()
    .prototype.prepare.call({ db: database.db }, sql)
    .catch((error: unknown) => {
      throw quotesNoValue(error);
    });
  return statement.reader ? statement.raw(true).safeIntegers(true) : statement;
}
