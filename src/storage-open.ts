import { closeSync, openSync, readSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Client, LibsqlError } from "@libsql/client";
import { type LocalTarget, parseLocalUrl } from "./client/file-url.js";
import { openLocalClient } from "./client/open-local.js";
import { openReplica, openServer } from "./client/remote/open-remote.js";
import { StorageError, toStorageError } from "./errors.js";
import { type JournalOptions, migrate, restoreMissingObjects, verify } from "./migrate/index.js";
import { OWN_MIGRATIONS } from "./own-migrations.js";
import { makeFolderOf, type ResolvedStorageOptions } from "./storage-options.js";

/** What a storage runs on. */
export interface OpenTarget {
  readonly client: Client;
  /** Of a local database: its file, or `:memory:`. */
  readonly path: string | undefined;
}

/** Opens the client that the options name: of a file, of memory, of a replica or of a server. */
export async function openClient(options: ResolvedStorageOptions): Promise<OpenTarget> {
  const { url } = options.client;
  const { client: config, requestTimeoutMs, redact } = options;
  let target: LocalTarget | undefined;
  try {
    target = parseLocalUrl(url);
    if (config.syncUrl) {
      if (target !== undefined && !target.isMemory) makeFolderOf(target.path);
      return await openReplica({ config, requestTimeoutMs, redact });
    }
    if (target === undefined) return { client: openServer({ config, requestTimeoutMs, redact }), path: undefined };
    if (target.isMemory) return { client: openLocalClient(options.client, target), path: ":memory:" };
    makeFolderOf(target.path);
    createPrivately(target.path);
    await assertOurs(target, options);
    return { client: openLocalClient(options.client, target), path: target.path };
  } catch (error) {
    throw asOpenError(error, target?.path ?? url);
  }
}

/** Looks at the ledger of a file that is not in WAL mode yet: one of another program's stays as it is, to the byte. */
async function assertOurs(target: LocalTarget, options: ResolvedStorageOptions): Promise<void> {
  if (options.migrate === "skip" || !hasRollbackJournal(target.path)) return;
  try {
    const client = openLocalClient(options.client, target, { keepsJournal: true });
    try {
      for (const set of migrationSets(options)) await verify(client, set);
    } finally {
      await client.close();
    }
  } catch (error) {
    // Whatever else there is, opening for good says it better, or gets past it.
    if (error instanceof StorageError && UNTOUCHED.has(error.code)) throw error;
  }
}

const UNTOUCHED = new Set(["FOREIGN_LEDGER", "MIGRATION_UNKNOWN", "MIGRATION_CHANGED"]);

/** By the header, for which SQLite need not be asked: 2 in byte 18 stands for WAL. */
function hasRollbackJournal(path: string): boolean {
  const header = Buffer.alloc(20);
  try {
    const file = openSync(path, "r");
    try {
      readSync(file, header, 0, header.length, 0);
    } finally {
      closeSync(file);
    }
  } catch {
    return false;
  }
  return header.toString("latin1", 0, 15) === "SQLite format 3" && header[18] === 1;
}

/** SQLite would make the file readable for everybody that the umask lets in. */
function createPrivately(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** Applies or checks the migrations, as the options say. */
export async function bringUpToDate({ client, path }: OpenTarget, options: ResolvedStorageOptions): Promise<void> {
  if (options.migrate === "skip") return;
  const { logger, migrateTimeoutMs } = options;
  const isFile = path !== undefined && path !== ":memory:";
  const backupTo = isFile && options.backupBeforeMigrate ? join(dirname(path), "backups") : undefined;
  for (const set of migrationSets(options)) {
    if (options.migrate === "verify") await verify(client, set);
    else {
      await migrate(client, { ...set, backupTo, logger, lockTimeoutMs: migrateTimeoutMs });
      // Another migrator may have applied a rebuild that dropped triggers.
      await restoreMissingObjects(client, { ...set, logger, lockTimeoutMs: migrateTimeoutMs });
    }
  }
}

/** Our migrations and, where there are any, the caller's own. */
export function migrationSets({ migrations }: ResolvedStorageOptions): JournalOptions[] {
  return migrations === undefined ? [OWN_MIGRATIONS] : [OWN_MIGRATIONS, migrations];
}

/** Says which database could not be opened. */
export function asOpenError(error: unknown, path: string): unknown {
  const failure = toStorageError(error);
  if (failure instanceof StorageError) {
    if (!["NOT_A_DATABASE", "CORRUPT", "CANNOT_OPEN", "IO", "READONLY", "FULL"].includes(failure.code)) return failure;
    return new StorageError(failure.code, `Cannot open ${path}: ${failure.message}`, {
      cause: failure.cause ?? failure,
    });
  }
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (error instanceof LibsqlError || code === undefined || error instanceof TypeError) return error;
  return new StorageError("CANNOT_OPEN", `Cannot open ${path}: ${(error as Error).message}`, { cause: error });
}
