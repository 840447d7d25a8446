import { statSync } from "node:fs";
import { FileIdentity } from "../../files/file-identity.js";
import { LogIdentity } from "../../files/log-identity.js";
import { createPrivately } from "../../files/new-file.js";
import type { ClientOptions } from "../options.js";
import { primaryCode, READONLY } from "../sql/sqlite-error.js";
import { Connection } from "./connection.js";
import { noteOpen } from "./open-files.js";
import { assertFile, assertOpenable, explainReadOnly, type ReadOnly, readOnlyOpening } from "./read-only.js";
import type { SessionSettings } from "./session-settings.js";
import { type StatementCacheStats, sumStatementStats } from "./statement-cache.js";
import { SEES_FILL } from "./wal-file.js";

export interface ConnectionPoolOptions extends Omit<ClientOptions, "readOnly"> {
  readonly readOnly: ReadOnly | false;
  readonly path: string;
  readonly isMemory: boolean;
  readonly encryptionKey: string | undefined;
  /** Makes a file that is still empty give back its free pages step by step. */
  readonly incrementalVacuum?: boolean;
  /** Overwrites what is deleted with zeros. */
  readonly erasesDeleted?: boolean;
  /** Leaves the journal of a file as it is until `enterWal`, for a look that must change nothing. */
  readonly keepsJournal?: boolean;
}

/** Pages kept in memory, in KiB, as they are read: readers need many to search a large file. */
const WRITER_CACHE = "PRAGMA cache_size = -16000";
const READER_CACHE = "PRAGMA cache_size = -64000";
interface ConnectionEvents {
  readonly afterCommit: () => void;
  readonly onError: (error: unknown) => void;
}

/** Opens the connections of a pool: which file, in which mode, with which settings. */
export class ConnectionOpener {
  readonly #options: ConnectionPoolOptions;
  readonly #settings: SessionSettings;
  readonly #events: ConnectionEvents;
  readonly #file: FileIdentity | undefined;
  /** The log that the writer has open. */
  readonly log: LogIdentity | undefined;
  #keepsJournal: boolean;
  /** The statement figures of connections that are closed. */
  #closedStatements: StatementCacheStats = sumStatementStats([]);
  #forgetFile: () => void = () => undefined;

  constructor(options: ConnectionPoolOptions, settings: SessionSettings, events: ConnectionEvents) {
    this.#options = options;
    this.#settings = settings;
    this.#events = events;
    this.#file = options.isMemory ? undefined : new FileIdentity(options.path);
    this.log = this.#file === undefined ? undefined : new LogIdentity(options.path, this.#file);
    this.#keepsJournal = options.keepsJournal === true;
  }

  get closedStatements(): StatementCacheStats {
    return this.#closedStatements;
  }

  /** Creates the file if it is missing, and notes that this process uses it; the returned function is to be called once it is open. */
  claimFile(): () => void {
    const { isMemory, path, readOnly } = this.#options;
    if (isMemory) return () => undefined;
    assertOpenable(path);
    if (readOnly !== false) assertFile(path);
    const noteMade = readOnly === false ? createPrivately(path) : () => undefined;
    this.#forgetFile = noteOpen(path);
    return noteMade;
  }

  releaseFile(): void {
    this.#forgetFile();
  }

  /** Throws FILE_REPLACED if the file has been removed or replaced since it was opened, or its log is known to be. */
  assertInPlace(): void {
    this.#file?.assertInPlace();
    this.log?.assertInPlace();
  }

  /** Puts a file that was opened with `keepsJournal` into WAL mode. Throws SQLITE_BUSY while others use it. */
  enterWal(writer: Connection): void {
    this.#keepsJournal = false;
    this.#enableWal(writer);
  }

  /** A connection with `setup` on it, and no settings of the session. */
  open(setup: readonly string[]): Connection {
    // It would open, or make, another log than the writer has.
    this.log?.assertInPlace();
    const { path, statementCacheSize, plainRows, encryptionKey, readOnly, isMemory } = this.#options;
    const options = {
      statementCacheSize,
      plainRows,
      subject: path,
      ...(encryptionKey === undefined ? {} : { encryptionKey }),
      beforeCommit: () => this.assertInPlace(),
      ...this.#events,
      onClose: (stats: StatementCacheStats) => {
        this.#closedStatements = sumStatementStats([this.#closedStatements, stats]);
      },
    };
    const opening = readOnly === false || isMemory ? { name: path, setup: [] } : readOnlyOpening(path, readOnly);
    const open = () => Connection.open(opening.name, options, [...opening.setup, ...setup]);
    return this.#file === undefined ? open() : this.#file.open(open);
  }

  /** Throws SQLITE_BUSY if another process keeps the file from entering WAL mode. */
  openWriter(): Connection {
    const { path, readOnly, isMemory } = this.#options;
    if (readOnly !== false && !isMemory) {
      try {
        // The first read shows what opening does not.
        return this.#prepareOrClose(this.open(this.#writerSetup()), (connection) => {
          connection.query("SELECT 1 FROM sqlite_schema LIMIT 1");
        });
      } catch (error) {
        throw explainReadOnly(error, path, readOnly);
      }
    }
    return this.#prepareOrClose(this.open(this.#writerSetup()), (connection) => this.#enableWal(connection));
  }

  openReader(): Connection {
    return this.#prepareOrClose(this.open(["PRAGMA query_only = 1", "PRAGMA wal_autocheckpoint = 0", READER_CACHE]));
  }

  #writerSetup(): string[] {
    const { durability, incrementalVacuum, erasesDeleted, path, isMemory, checkpoint, readOnly } = this.#options;
    if (readOnly !== false && !isMemory) return ["PRAGMA wal_autocheckpoint = 0", WRITER_CACHE];
    const synchronous = `PRAGMA synchronous = ${durability === "full" ? "FULL" : "NORMAL"}`;
    // The log keeps the size at which it is emptied: writing over it costs less than growing it.
    const setup = [
      synchronous,
      "PRAGMA wal_autocheckpoint = 0",
      `PRAGMA journal_size_limit = ${SEES_FILL ? checkpoint.walBytes : 0}`,
      WRITER_CACHE,
    ];
    if (erasesDeleted === true) setup.push("PRAGMA secure_delete = ON");
    const isNew =
      !isMemory && incrementalVacuum === true && (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0;
    return isNew ? ["PRAGMA auto_vacuum = INCREMENTAL", ...setup] : setup;
  }

  #enableWal(connection: Connection): void {
    if (this.#options.isMemory || this.#keepsJournal || this.#options.readOnly !== false) return;
    if (connection.query("PRAGMA journal_mode")[0]?.[0] === "wal") {
      // The query has opened the log.
      this.log?.remember();
      return;
    }
    try {
      connection.exec("PRAGMA journal_mode = WAL");
    } catch (error) {
      // A file that cannot be written can still be read.
      if (primaryCode(error) !== READONLY) throw error;
    }
  }

  /** Makes the session's settings on a new connection; closes it if that fails. */
  #prepareOrClose(connection: Connection, prepare?: (connection: Connection) => void): Connection {
    try {
      prepare?.(connection);
      this.#settings.applyTo(connection);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }
}
