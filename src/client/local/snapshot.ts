import { existsSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { syncFile } from "../../files/folders.js";
import { createEmpty, removeDatabase } from "../../files/place-file.js";
import { StorageError } from "../../shared/errors.js";
import { follow, type LongCallOptions } from "../../shared/long-call.js";
import { quoteName, quoteText } from "../sql/quote.js";
import { Connection } from "./connection.js";
import { type ReadOnly, readOnlyOpening } from "./read-only.js";

/** The number of rows of each table, which a copy must have too. */
type TableCounts = ReadonlyMap<string, bigint>;

interface DatabaseFile {
  readonly path: string;
  readonly encryptionKey: string | undefined;
  /** Whether nothing of it may be changed, not even the log at the last close. @default false */
  readonly readOnly?: ReadOnly | false;
}

interface SnapshotSource extends DatabaseFile {
  /**
   * Runs `work` with the write lock held, and resolves to whether it could take the lock: only then are the rows counted
   * in the state that is copied.
   */
  readonly locked: (work: () => Promise<void>) => Promise<boolean>;
}

/** The copy takes this setting over; it is brought to the disk once, when it is complete. */
const UNSYNCED = "PRAGMA synchronous = OFF";

/**
 * Copies a live database to the file `temporary`, verified and on disk, while others read and write.
 *
 * The write lock is held only until the copy has begun to read, so that the rows can be counted in the same state by
 * another connection. Rejects, and leaves no file, when a check fails or the call is aborted.
 */
export async function snapshotFile(
  source: SnapshotSource,
  temporary: string,
  options: LongCallOptions = {},
): Promise<void> {
  if (!existsSync(source.path)) throw new StorageError("NOT_FOUND", `There is no database at ${source.path}`);
  createEmpty(temporary);
  const copier = connectAlone({ ...source, subject: temporary }, UNSYNCED);
  const counter = connectAlone(source);
  const running: Promise<unknown>[] = [];
  try {
    assertCopyable(counter);
    const isExact = await source.locked(async () => {
      counter.exec("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1");
      running.push(copier.execOffThread(`VACUUM INTO ${quoteText(temporary)}`));
      await begun(running[0]!, temporary);
    });
    const total = usedBytes(counter);
    const counting = countRows(counter);
    running.push(counting);
    // It is awaited after the copy; until then, its rejection counts as handled.
    counting.catch(() => undefined);
    const progress = () => ({ phase: "copy", done: Math.min(sizeOf(temporary), total), total });
    await follow(running[0]!, options, progress);
    await syncFile(temporary);
    options.onProgress?.({ phase: "copy", done: total, total });
    const counts = await follow(counting, options, progress);
    await verifyDatabase(
      { path: temporary, encryptionKey: source.encryptionKey },
      isExact ? counts : undefined,
      options,
    );
  } catch (error) {
    await removeDatabase(temporary);
    throw error;
  } finally {
    // An aborted copy runs on by itself, into a file that has no name any more: nothing stops it.
    void Promise.allSettled(running).then(() => {
      copier.close();
      counter.close();
    });
  }
}

/** The same for a database in memory: its only connection is not used for anything else in the meantime. */
export async function snapshotMemory(
  connection: Connection,
  temporary: string,
  options: LongCallOptions = {},
): Promise<void> {
  options.signal?.throwIfAborted();
  createEmpty(temporary);
  try {
    assertCopyable(connection);
    const counts = await countRows(connection);
    await connection.execOffThread(`VACUUM INTO ${quoteText(temporary)}`);
    await syncFile(temporary);
    options.signal?.throwIfAborted();
    await verifyDatabase({ path: temporary, encryptionKey: undefined }, counts, options);
  } catch (error) {
    await removeDatabase(temporary);
    throw error;
  }
}

/**
 * Proves that a file is a whole database: it opens, passes SQLite's full integrity check, and holds `counts`.
 *
 * Rejects with CORRUPT, or with SQLite's error. Runs off the main thread.
 */
export async function verifyDatabase(
  file: DatabaseFile,
  counts: TableCounts | undefined,
  options: LongCallOptions = {},
): Promise<void> {
  const total = sizeOf(file.path);
  const connection = connectAlone(file);
  const check = async () => {
    try {
      await assertIntegrity(connection);
      if (counts !== undefined) assertSame(counts, await countRows(connection));
    } finally {
      connection.close();
    }
  };
  await follow(check(), options, () => ({ phase: "verify", done: 0, total }));
  options.onProgress?.({ phase: "verify", done: total, total });
}

export function connectAlone(
  { path, encryptionKey, readOnly = false, subject = path }: DatabaseFile & { readonly subject?: string },
  ...setup: string[]
): Connection {
  const options = { statementCacheSize: 1, subject, ...(encryptionKey === undefined ? {} : { encryptionKey }) };
  const opening = readOnly === false ? { name: path, setup: [] } : readOnlyOpening(path, readOnly);
  return Connection.open(opening.name, options, [...opening.setup, "PRAGMA wal_autocheckpoint = 0", ...setup]);
}

/** Resolves once the copy reads its snapshot: nothing is written to the new file before that. */
async function begun(copying: Promise<unknown>, temporary: string): Promise<void> {
  let isSettled = false;
  const settled = () => {
    isSettled = true;
  };
  void copying.then(settled, settled);
  while (!isSettled && sizeOf(temporary) === 0) await sleep(1);
}

function assertCopyable(connection: Connection): void {
  const indexes = connection.query("SELECT name FROM sqlite_schema WHERE sql LIKE '%libsql_vector_idx%'");
  if (indexes.length === 0) return;
  throw new StorageError(
    "NOT_SUPPORTED",
    `The copy would damage the vector index ${indexes[0]![0]}: libSQL's VACUUM INTO does. Drop it first, and make it again afterwards`,
  );
}

/** A query is synchronous; a script is not, and leaves its answer in a table of this connection's own. */
async function countRows(connection: Connection): Promise<TableCounts> {
  const tables = connection
    .query("PRAGMA table_list")
    .filter(([schema, , type]) => schema === "main" && (type === "table" || type === "shadow"))
    .map(([, name]) => String(name))
    .filter((name) => !name.startsWith("sqlite_"));
  const inserts = tables.map(
    (name) => `INSERT INTO temp.row_counts SELECT ${quoteText(name)}, count(*) FROM main.${quoteName(name)};`,
  );
  await connection.execOffThread(
    `DROP TABLE IF EXISTS temp.row_counts; CREATE TEMP TABLE row_counts (name, number); ${inserts.join(" ")}`,
  );
  const rows = connection.query("SELECT name, number FROM temp.row_counts") as [string, bigint][];
  connection.exec("DROP TABLE temp.row_counts");
  return new Map(rows);
}

async function assertIntegrity(connection: Connection): Promise<void> {
  // In hex: what is said of a damaged file may hold bytes that are no text, and reading those as text aborts the process.
  await connection.execOffThread(
    "CREATE TEMP TABLE answer (line); INSERT INTO answer SELECT hex(integrity_check) FROM pragma_integrity_check",
  );
  const lines = connection
    .query("SELECT line FROM answer LIMIT 3")
    .map(([line]) => Buffer.from(String(line), "hex").toString());
  if (lines.join() === "ok") return;
  throw new StorageError("CORRUPT", `The file fails its integrity check: ${lines.join("; ")}`);
}

function assertSame(wanted: TableCounts, found: TableCounts): void {
  const tables = new Set([...wanted.keys(), ...found.keys()]);
  const wrong = [...tables].filter((table) => wanted.get(table) !== found.get(table));
  if (wrong.length === 0) return;
  const list = wrong.map((table) => `${table} (${found.get(table) ?? "none"} of ${wanted.get(table) ?? "none"})`);
  throw new StorageError(
    "CORRUPT",
    `The copy does not have the same rows as its source: ${list.slice(0, 3).join(", ")}`,
  );
}

/** The size of all used pages in bytes, which is about the size of the copy. */
function usedBytes(connection: Connection): number {
  const [pages, free, size] = ["page_count", "freelist_count", "page_size"].map((name) =>
    Number(connection.query(`PRAGMA ${name}`)[0]![0]),
  );
  return (pages! - free!) * size!;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
