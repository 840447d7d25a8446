import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Client, LibsqlError } from "@libsql/client/sqlite3";
import { noteMissed } from "../areas/registry.js";
import { type LocalTarget, parseLocalUrl } from "../client/file-url.js";
import type { LocalClient } from "../client/local/local-client.js";
import { openLocalClient } from "../client/local/open-local.js";
import { openReplica, openServer } from "../client/remote/open-remote.js";
import { findMetadata, replicaUnusable } from "../client/remote/replica-files.js";
import type { EngineClient } from "../client/storage-client.js";
import { toStorageError } from "../client/storage-error.js";
import { TOO_MANY_FILES } from "../files/descriptors.js";
import { asFileError } from "../files/file-error.js";
import { mayRead, mayWrite, otherThanFile } from "../files/file-kind.js";
import { makeFolder } from "../files/folders.js";
import { removeOldBackups } from "../migrate/backup.js";
import { type JournalOptions, migrate, readJournal, verify } from "../migrate/index.js";
import { assertApplicable, assertRunnableOnEmpty } from "../migrate/migrate.js";
import { restoreObjects } from "../migrate/missing-objects.js";
import { OWN_MIGRATIONS } from "../schema/own-migrations.js";
import { StorageError } from "../shared/errors.js";
import type { ResolvedStorageOptions } from "./options.js";

/** The client and the file of a storage. */
export interface OpenTarget {
  readonly client: EngineClient;
  /** The file of a local database, or `:memory:`. */
  readonly path: string | undefined;
}

/**
 * Opens the client that the options ask for: a file, memory, a replica or a server. With `keepsJournal`, a file does not
 * enter WAL mode.
 */
export async function openClient(
  options: ResolvedStorageOptions,
  { keepsJournal = false }: { readonly keepsJournal?: boolean } = {},
): Promise<OpenTarget> {
  const { url } = options.client;
  // Migrations that are missing or malformed must not leave a new file behind.
  if (options.migrate !== "skip" && options.migrations?.set.folder !== undefined) {
    readJournal(options.migrations.set.folder);
  }
  const { client: config, requestTimeoutMs, maxResponseBytes, redact } = options;
  let target: LocalTarget | undefined;
  try {
    target = parseLocalUrl(url);
    if (config.syncUrl) {
      if (target !== undefined && !target.isMemory) await makeFolder(dirname(target.path));
      return await openReplica({ config, requestTimeoutMs, maxResponseBytes, redact });
    }
    if (target === undefined)
      return { client: await openServer({ config, requestTimeoutMs, maxResponseBytes, redact }), path: undefined };
    if (target.isMemory) return { client: openLocalClient(options.client, target), path: ":memory:" };
    if (isReadOnly(options)) {
      const { readOnly } = options;
      return { client: openLocalClient(options.client, target, { readOnly }), path: target.path };
    }
    if (options.migrate === "apply" && options.migrations !== undefined && !existsSync(target.path)) {
      const { set, allowOutOfOrder } = options.migrations;
      assertRunnableOnEmpty({ ...set, allowOutOfOrder });
    }
    await makeFolder(dirname(target.path));
    const metadata = findMetadata(target.path);
    if (metadata.length > 0) return openAsCopy(target, options, metadata);
    return { client: await openFile(target, options, keepsJournal), path: target.path };
  } catch (error) {
    throw asOpenError(error, target?.path ?? url);
  }
}

/** Opens the file of a replica without its primary, read-only: the next fetch would overwrite any writes to it. */
function openAsCopy(target: LocalTarget, options: ResolvedStorageOptions, metadata: readonly string[]): OpenTarget {
  const { path } = target;
  if (!existsSync(path)) throw replicaUnusable(path, "databaseMissing");
  const client = openLocalClient(options.client, target, { keepsJournal: true });
  client.readOnlyBecause = `${path} is an embedded replica, and read-only without \`syncUrl\`: open it with \`syncUrl\` to write to its primary, or delete ${metadata.join(" and ")} to make it a plain database`;
  return { client, path };
}

/**
 * Opens a file. Checks it before it enters WAL mode, so that a file of another program is not changed by a single byte.
 */
async function openFile(
  target: LocalTarget,
  options: ResolvedStorageOptions,
  keepsJournal: boolean,
): Promise<LocalClient> {
  const client = openLocalClient(options.client, target, { keepsJournal: true });
  try {
    await assertOurs(client, target, options);
    if (!keepsJournal) await client.enterWal();
    warnOfHardLinks(target.path, options);
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** SQLite keeps a log for each name of a file, so processes that use different names overwrite each other's writes. */
function warnOfHardLinks(path: string, { logger }: ResolvedStorageOptions): void {
  const names = statSync(path, { throwIfNoEntry: false })?.nlink ?? 1;
  if (names <= 1) return;
  try {
    logger?.warn(
      `holdfast: ${path} has ${names} names (hard links). Open it by one of them only: SQLite keeps a log for each name`,
    );
  } catch {
    // A logger that fails must not keep a storage from being opened.
  }
}

/**
 * Refuses a file by its ledger before opening changes it. If the file is already in WAL mode, opening changes nothing.
 */
async function assertOurs(client: LocalClient, target: LocalTarget, options: ResolvedStorageOptions): Promise<void> {
  const isEmpty = (statSync(target.path, { throwIfNoEntry: false })?.size ?? 0) === 0;
  if (options.migrate === "skip" || isEmpty) return;
  try {
    const { rows } = await client.execute("PRAGMA journal_mode");
    if (rows[0]?.[0] === "wal") return;
    for (const set of migrationSets(options)) {
      const allowOutOfOrder = set === options.migrations?.set && options.migrations.allowOutOfOrder;
      await (options.migrate === "verify"
        ? verify(client, set)
        : assertApplicable(client, { ...set, allowOutOfOrder }));
    }
  } catch (error) {
    // The actual opening reports other failures better, or handles them.
    const failure = toStorageError(error);
    if (failure instanceof StorageError && /^MIGRATION_|^FOREIGN_LEDGER$|^BUSY$/.test(failure.code)) throw failure;
  }
}

/** Applies or checks the migrations, as the options say. */
export async function bringUpToDate({ client, path }: OpenTarget, options: ResolvedStorageOptions): Promise<void> {
  if (options.migrate === "skip") return;
  if (isReadOnly(options)) return assertReadable(client, options);
  if (client.local?.readOnlyBecause !== undefined) {
    for (const set of migrationSets(options)) await verify(client, set);
    return;
  }
  const { logger, migrateTimeoutMs } = options;
  const isFile = path !== undefined && path !== ":memory:";
  const backupTo = isFile && options.backupBeforeMigrate ? join(dirname(path), "backups") : undefined;
  const made: string[] = [];
  for (const set of migrationSets(options)) {
    if (options.migrate === "verify") await verify(client, set);
    else {
      const allowOutOfOrder = set === options.migrations?.set && options.migrations.allowOutOfOrder;
      const waiting = { logger, lockTimeoutMs: migrateTimeoutMs };
      const { backup } = await migrate(client, { ...set, ...waiting, backupTo, allowOutOfOrder });
      if (backup !== undefined) made.push(backup);
      // Another migrator may have applied a rebuild that dropped triggers.
      await restoreObjects(client, { ...set, ...waiting }, noteMissed);
    }
  }
  if (made.length > 0) await removeOldBackups(backupTo!, path!, options.keepMigrationBackups, made);
}

function isReadOnly({ client, readOnly }: ResolvedStorageOptions): boolean {
  return (readOnly ?? client.readOnly ?? false) !== false;
}

/**
 * A file of an older version can be read as far as its tables go, unless the caller requires one that is up to date.
 */
async function assertReadable(client: Client, options: ResolvedStorageOptions): Promise<void> {
  for (const set of migrationSets(options)) {
    try {
      await verify(client, set);
    } catch (error) {
      const isPending = error instanceof StorageError && error.code === "MIGRATION_PENDING";
      if (!isPending || options.migrate === "verify") throw error;
    }
  }
}

/** The library's migrations, and the caller's if there are any. */
export function migrationSets({ migrations }: ResolvedStorageOptions): JournalOptions[] {
  return migrations === undefined ? [OWN_MIGRATIONS] : [OWN_MIGRATIONS, migrations.set];
}

/** Whether a file could be opened with `readOnly`, and was not. */
function isOnlyReadable(path: string, message: string): boolean {
  if (message.includes("readOnly") || message.includes(TOO_MANY_FILES)) return false;
  if (!existsSync(path) || !mayRead(path) || otherThanFile(path) !== undefined) return false;
  return !mayWrite(path) || !mayWrite(dirname(path));
}

const ONLY_READS =
  'this user may not write to it or to its folder. To read it only, open it with `readOnly: true`, or with `readOnly: "immutable"` if its folder cannot be written to either and no process writes to the file';

/** Adds to the error which database could not be opened. */
export function asOpenError(error: unknown, path: string): unknown {
  const failure = toStorageError(error);
  if (failure instanceof StorageError) {
    if (!["NOT_A_DATABASE", "CORRUPT", "CANNOT_OPEN", "IO", "READONLY", "FULL"].includes(failure.code)) return failure;
    const what = `Cannot open ${path}: `;
    const isRefused = /^(?:READONLY|CANNOT_OPEN)$/.test(failure.code) && isOnlyReadable(path, failure.message);
    const said = failure.message.replace(/^SQLITE_(?:CANTOPEN|FULL): /, "");
    const why = isRefused ? ONLY_READS : said;
    const { retryable } = failure;
    return new StorageError(failure.code, why.startsWith(what) ? why : what + why, {
      cause: failure.cause ?? failure,
      retryable,
    });
  }
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (error instanceof LibsqlError || code === undefined || error instanceof TypeError) return error;
  const file = asFileError(error, `Cannot open ${path}`);
  if (file instanceof StorageError) return file;
  return new StorageError("CANNOT_OPEN", `Cannot open ${path}: ${(error as Error).message}`, { cause: error });
}
