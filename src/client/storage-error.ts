import { LibsqlError } from "@libsql/client/sqlite3";
import { TOO_MANY_FILES } from "../files/descriptors.js";
import { StorageError, type StorageErrorCode, withoutCode } from "../shared/errors.js";
import { UnavailableError } from "./remote/remote-error.js";
import { CANTOPEN, SHORT_READ, showsIndexDamage } from "./sql/sqlite-error.js";

const BY_SQLITE_CODE: Readonly<Record<string, StorageErrorCode>> = {
  SQLITE_BUSY: "BUSY",
  SQLITE_LOCKED: "BUSY",
  SQLITE_FULL: "FULL",
  SQLITE_READONLY: "READONLY",
  // Of a server whose operator allows no writes, or nothing at all.
  BLOCKED: "READONLY",
  DATABASE_NOT_FOUND: "NOT_FOUND",
  SQLITE_CORRUPT: "CORRUPT",
  SQLITE_NOTADB: "NOT_A_DATABASE",
  SQLITE_CANTOPEN: "CANNOT_OPEN",
  SQLITE_PERM: "CANNOT_OPEN",
  SQLITE_IOERR: "IO",
  NOT_FOUND: "NOT_FOUND",
  CLIENT_CLOSED: "CLOSED",
  TRANSACTION_CLOSED: "TRANSACTION_CLOSED",
  TRANSACTION_TIMEOUT: "TRANSACTION_CLOSED",
  SAVEPOINT_CLOSED: "TRANSACTION_CLOSED",
  ACQUIRE_TIMEOUT: "ACQUIRE_TIMEOUT",
  WRONG_HANDLE: "WRONG_HANDLE",
  NOT_SUPPORTED: "NOT_SUPPORTED",
  REPLICA_UNUSABLE: "REPLICA_UNUSABLE",
  SYNC_NOT_SUPPORTED: "NOT_SUPPORTED",
  ENCRYPTION_KEY_NOT_SUPPORTED: "NOT_SUPPORTED",
  UNAVAILABLE: "UNAVAILABLE",
  RESPONSE_TOO_LARGE: "RESPONSE_TOO_LARGE",
  SQLITE_TOOBIG: "INVALID",
  FILE_REPLACED: "FILE_REPLACED",
  IN_USE: "IN_USE",
  AUTH_FAILED: "UNAUTHORIZED",
};

/** What another attempt may get past. A server's time-out of a transaction has undone the whole of it. */
const RETRYABLE = new Set(["SQLITE_BUSY", "SQLITE_LOCKED", "ACQUIRE_TIMEOUT", "TRANSACTION_TIMEOUT"]);

/** A missing table, or a column that an earlier version did not have. */
const MISSING = /no such (?:table: (?:main\.)?(\w+)$|column: (?:\w+\.)?sent_hash$)/;
/** The tables of Holdfast. A file without one of them was written by another version. */
const ownTables = new Set<string>();
const OTHER_SCHEMA_ADVICE =
  "The database is not of this version of Holdfast: `holdfast status` shows what it lacks, and openStorage() or `holdfast migrate` brings it up to date";

const ADVICE: Partial<Record<StorageErrorCode, string>> = {
  CONFLICT: "There is one already: choose another",
  FOREIGN_KEY: "Store what it refers to first",
  CLOSED: "Open the storage again",
  READONLY: "Only reads are possible here: use a transaction of mode write, or make the file writable",
  TRANSACTION_CLOSED: "Begin another one",
  BUSY: "Another process kept the write lock: try again, or raise `busyTimeoutMs`",
  FULL: "Make room on the disk and try again; nothing was stored",
  CORRUPT:
    "The file is damaged and was left as it is: copy it with its -wal, then restore a backup, or save what can be read with salvage() or `holdfast salvage`",
  NOT_A_DATABASE: "If it should be one, its encryption key may be wrong. The file was not changed",
  MIGRATION_PENDING: OTHER_SCHEMA_ADVICE,
  CANNOT_OPEN: "Check that the folder exists and that this user may write to it",
  IO: "The disk or its file system has failed: look at the log of the system, then try again",
};

const THREAD_CONFLICT_ADVICE =
  "There is one already, perhaps deleted (restore brings it back) or kept for its forks: choose another id";

/** What to do about a taken id, by the table that has it. */
const CONFLICT_ADVICE: Readonly<Record<string, string>> = {
  memories: "There is one already, perhaps deleted: choose another id, or replace it with put",
  conversations: THREAD_CONFLICT_ADVICE,
  messages: THREAD_CONFLICT_ADVICE,
  graph_nodes: "There is a node of this id already: choose another id, or replace the node with putNode",
  graph_edges: "There is an edge of this id already: choose another id, or change the edge with updateEdge",
  sessions: "There is a session of this id already: choose another id, or leave it out for a new one",
};

/** If a full-text table or a table of the triggers is missing, every write to their table fails. */
const LOST_INDEX = /no such table: (?:main\.)?(?:\w+_(?:fts|replaced)|search_backlog|vector_versions)\b/;
/** A filter has read a column that other software has changed. */
const NO_JSON = /malformed JSON$/;
const NO_JSON_ADVICE =
  "A record has metadata or data that is not JSON any more, and a filter reads those of all records: the same call without the filter names the record";

const LOST_INDEX_ADVICE =
  "A table that an index needs has been dropped: storage.reindex() or `holdfast reindex` makes it again; nothing was stored";

const DAMAGED_INDEX_ADVICE =
  "A full-text index is damaged, the records are not: storage.reindex() or `holdfast reindex` makes it again; nothing was stored";

const BLOCKED_ADVICE =
  "The operator of the server has blocked this kind of call; nothing was stored. It works again once that is lifted";

const REMOTE_DAMAGE_ADVICE =
  "A full-text index on the server is damaged, or else the database itself: storage.reindex() or `holdfast reindex` repairs an index; restore a damaged database on the server";

/** What the client threw, as the error that repositories and storage throw; programmer errors pass as they are. */
export function toStorageError(error: unknown): unknown {
  const failure = libsqlErrorIn(error);
  if (failure === undefined) return error;
  const constraint = constraintError(failure);
  if (constraint !== undefined) return constraint;
  const isOtherSchema = isOfOtherSchema(failure);
  const known = NO_JSON.test(failure.message) ? "CORRUPT" : BY_SQLITE_CODE[failure.code];
  const code = isOtherSchema ? "MIGRATION_PENDING" : (known ?? "SQL");
  const advice = adviceFor(code, failure);
  // The StorageError has its own code for the client's. SQLite's say more, such as SQLITE_LOCKED.
  const what = failure.code.startsWith("SQLITE_") ? failure.message : withoutCode(failure);
  const message = advice === undefined ? what : `${what}. ${advice}`;
  const { outcome } = failure as { readonly outcome?: unknown };
  if (outcome === "unknown") return new StorageError(code, message, { cause: failure, outcome });
  if (failure instanceof UnavailableError) return new StorageError(code, message, { cause: failure, retryable: true });
  return new StorageError(code, message, { cause: failure, retryable: mayPass(failure) });
}

/** Runs `work`; turns errors of the client into StorageErrors. */
export async function asStorageErrors<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toStorageError(error);
  }
}

function mayPass({ code, message }: LibsqlError): boolean {
  return RETRYABLE.has(code) || message.includes(TOO_MANY_FILES);
}

/** Adds names of tables whose absence means `MIGRATION_PENDING`. The areas do so: the client does not know them. */
export function addOwnTables(names: Iterable<string>): void {
  for (const name of names) ownTables.add(name);
}

function isOfOtherSchema({ message }: LibsqlError): boolean {
  const missing = MISSING.exec(message);
  if (LOST_INDEX.test(message)) return false;
  return missing !== null && (missing[1] === undefined || ownTables.has(missing[1]));
}

function adviceFor(code: StorageErrorCode, failure: LibsqlError): string | undefined {
  if (failure.code === "BLOCKED") return BLOCKED_ADVICE;
  // It says itself what to do.
  if (failure.extendedCode === "READONLY_REPLICA") return undefined;
  // A failed open says itself what to look at.
  if (code === "CANNOT_OPEN" && failure.rawCode === CANTOPEN) return undefined;
  // As does a file that was moved.
  if (failure.rawCode === SHORT_READ) return undefined;
  // The file could be written to, or not: the caller has said that it is only to be read, and the error says so.
  if (failure.message.includes("readOnly")) return undefined;
  if (NO_JSON.test(failure.message)) return NO_JSON_ADVICE;
  if (showsIndexDamage(failure)) return DAMAGED_INDEX_ADVICE;
  if (code === "CORRUPT" && failure.rawCode === undefined) return REMOTE_DAMAGE_ADVICE;
  return ADVICE[code] ?? (LOST_INDEX.test(failure.message) ? LOST_INDEX_ADVICE : undefined);
}

/** Whether what is damaged may be a full-text index alone, which can be made again; a server does not tell them apart. */
export function mayBeIndexDamage(error: unknown): boolean {
  const failure = libsqlErrorIn(error instanceof StorageError ? error.cause : error);
  if (failure === undefined) return false;
  return showsIndexDamage(failure) || (failure.code === "SQLITE_CORRUPT" && failure.rawCode === undefined);
}

/** Drizzle wraps what the client throws, so it may sit further down the `cause` chain. */
function libsqlErrorIn(error: unknown): LibsqlError | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if (at instanceof StorageError) return undefined;
    if (at instanceof LibsqlError) return at;
  }
  return undefined;
}

function constraintError(failure: LibsqlError): StorageError | undefined {
  if (failure.code !== "SQLITE_CONSTRAINT") return undefined;
  if (failure.message.includes("DIMENSION_MISMATCH")) {
    const message =
      "The vector has another length than those stored for this model and version. Name another version, or remove those that are stored with memories.dropModel()";
    return new StorageError("DIMENSION_MISMATCH", message, { cause: failure });
  }
  const taken = /ID_TAKEN: (\w+)\.(\w+), \w+\.(\w+)/.exec(failure.message);
  if (taken !== null) {
    const [, table, ...columns] = taken;
    const message = `There is one of this id among the ${table}, perhaps deleted: choose another id`;
    return new StorageError("CONFLICT", message, { cause: failure, table, columns });
  }
  const named = /constraint failed: (.+)$/.exec(failure.message)?.[1]?.split(", ") ?? [];
  const columns = named.filter((name) => name.includes(".")).map((name) => name.slice(name.indexOf(".") + 1));
  const table = named.find((name) => name.includes("."))?.split(".")[0];
  const isForeign = failure.extendedCode === "SQLITE_CONSTRAINT_FOREIGNKEY";
  const isUnique = /_(UNIQUE|PRIMARYKEY|ROWID)$/.test(failure.extendedCode ?? "");
  const code = isForeign ? "FOREIGN_KEY" : isUnique ? "CONFLICT" : "INVALID";
  const details = table === undefined ? {} : { table, columns };
  const advice = (code === "CONFLICT" ? CONFLICT_ADVICE[table ?? ""] : undefined) ?? ADVICE[code];
  const what = withoutCode(failure);
  const message = advice === undefined ? what : `${what}. ${advice}`;
  return new StorageError(code, message, { cause: failure, ...details });
}
