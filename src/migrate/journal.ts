import { isUtf8 } from "node:buffer";
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { isShortOfDescriptors, TOO_MANY_FILES } from "../files/descriptors.js";
import { asFileError, hasErrno } from "../files/file-error.js";
import { StorageError } from "../shared/errors.js";
import { sha256, withoutMark } from "./checksum.js";
import { listMigrationFolders } from "./migration-folders.js";
import { type CodeMigration, type ResolvedJournalOptions, resolveFolder } from "./options.js";

/** One migration of a journal, with its file. */
export interface Migration {
  /** The name of the file without `.sql`, as in `0003_add_tags`. */
  readonly tag: string;
  /** When drizzle-kit generated it, in ms. The ledger identifies a migration by this time. */
  readonly when: number;
  /** SHA-256 of the whole file, in hex, as drizzle computes it. */
  readonly hash: string;
  readonly sql: string;
  /** The path of the file; the tag of a migration in code. */
  readonly path: string;
  /** What a migration in code was given as. */
  readonly code?: CodeMigration;
  /** The snapshot next to it, in the layout of drizzle-kit 1.0, which orders migrations by their names. */
  readonly snapshotPath?: string;
  /** Why the file is not text, so that it cannot be applied; undefined for text. */
  readonly unreadable?: string;
}

/** The path of the down file of a migration: `0003_name.down.sql` next to `0003_name.sql`, or `migration.down.sql`. */
export function downPath({ path }: Pick<Migration, "path">): string {
  return path.replace(/\.sql$/, ".down.sql");
}

/** The same, seen from the folder of the migrations. */
export function downName({ tag, path }: Pick<Migration, "tag" | "path">): string {
  const name = basename(downPath({ path }));
  return name === `${tag}.down.sql` ? name : join(tag, name);
}

/** The migrations in the order in which a new file gets them. */
export type Journal = readonly Migration[];

/**
 * Reads a folder of drizzle-kit: `meta/_journal.json` and every file that it names, or the folders of drizzle-kit 1.0,
 * which has no journal (`20261130192204_add_tags/migration.sql`).
 *
 * Reads synchronously, because a few small files at start-up would take longer through the thread pool. Throws
 * NOT_FOUND if the folder, the journal or a file is missing, and INVALID if the journal is malformed or the folder has
 * both layouts.
 */
export function readJournal(folder: string | URL): Journal {
  const path = resolveFolder(folder);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new StorageError(
      "NOT_FOUND",
      `There is no migrations folder at ${path}. Check the path, or run drizzle-kit generate`,
    );
  }
  const journalPath = join(path, "meta", "_journal.json");
  const folders = listMigrationFolders(path);
  if (folders.length > 0) {
    if (existsSync(journalPath)) {
      throw new StorageError(
        "INVALID",
        `${path} has a journal of drizzle-kit 0.31 and migrations of drizzle-kit 1.0 (${folders[0]!.tag}). Convert it with \`drizzle-kit up\`, or remove one of them`,
      );
    }
    return folders.map(({ tag, when, path: file, snapshotPath }) => {
      return { ...readMigration(tag, when, file, `There is no ${file}`), snapshotPath };
    });
  }
  const text = readText(
    journalPath,
    `There is no journal at ${journalPath}. Run drizzle-kit generate, and ship the meta folder`,
  );
  const entries = parseEntries(text, journalPath);
  return entries.map(({ tag, when }) => {
    const file = join(path, `${tag}.sql`);
    return readMigration(tag, when, file, `The journal lists ${tag}, but there is no ${file}. Restore the file`);
  });
}

function readMigration(tag: string, when: number, file: string, ifMissing: string): Migration {
  const bytes = readBytes(file, ifMissing);
  const sql = bytes.toString();
  const unreadable = whyUnreadable(bytes);
  return { tag, when, hash: sha256(sql), sql, path: file, ...(unreadable === undefined ? {} : { unreadable }) };
}

/** Returns the migrations of a folder or of code. */
export function loadJournal({ folder, migrations }: Pick<ResolvedJournalOptions, "folder" | "migrations">): Journal {
  if (migrations === undefined) return readJournal(folder);
  const tags = new Set<string>();
  let last = 0;
  return migrations.map((code) => {
    const { tag, sql, dependsOn = [], when = last + 1 } = code;
    const invalid = (why: string) =>
      new StorageError("MIGRATION_INVALID", `Migration ${tag} cannot be applied: ${why}. Nothing was changed`);
    if (tags.has(tag)) throw invalid("the list has it twice");
    const missing = dependsOn.find((one) => !tags.has(one));
    if (missing !== undefined) {
      const isLater = migrations.some((one) => one.tag === missing);
      throw invalid(`it depends on ${missing}, which ${isLater ? "comes later in the list" : "is not in the list"}`);
    }
    if (sql.includes("\0") || code.down?.includes("\0") === true) throw invalid("it contains a NUL character");
    tags.add(tag);
    last = when;
    return { tag, when, hash: sha256(sql), sql, path: tag, code };
  });
}

/** Why bytes are not text in UTF-8; undefined where they are. */
export function whyUnreadable(bytes: Buffer): string | undefined {
  const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  if (isUtf16) return "it is UTF-16, not UTF-8";
  if (!isUtf8(bytes)) return "it is not UTF-8";
  return bytes.includes(0) ? "it contains NUL characters, so it is perhaps UTF-16" : undefined;
}

export function readText(path: string, ifMissing: string): string {
  return withoutMark(readBytes(path, ifMissing).toString());
}

function readBytes(path: string, ifMissing: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if (hasErrno(error, "ENOENT")) throw new StorageError("NOT_FOUND", ifMissing, { cause: error });
    // The shortage is not about this file.
    if (isShortOfDescriptors(error)) {
      throw new StorageError("CANNOT_OPEN", TOO_MANY_FILES, { cause: error, retryable: true });
    }
    throw asFileError(error, `Cannot read ${path}`);
  }
}

function parseEntries(text: string, path: string): { tag: string; when: number }[] {
  const invalid = (what: string, cause?: unknown) =>
    new StorageError("INVALID", `${path} is not a journal of drizzle-kit: ${what}. Restore it`, { cause });
  let journal: { entries?: unknown } | null;
  try {
    journal = JSON.parse(text);
  } catch (error) {
    throw invalid((error as Error).message, error);
  }
  const entries = journal?.entries;
  if (!Array.isArray(entries)) throw invalid("it has no `entries`");
  const tags = new Set<string>();
  for (const [index, entry] of entries.entries()) {
    const { tag, when } = (entry ?? {}) as { tag?: unknown; when?: unknown };
    // A tag becomes part of a path.
    if (typeof tag !== "string" || tag === "" || /[/\\\0]/.test(tag))
      throw invalid(`entry ${index} has no usable \`tag\``);
    if (!Number.isSafeInteger(when)) throw invalid(`entry ${index} (${tag}) has no usable \`when\``);
    if (tags.has(tag)) throw invalid(`it lists ${tag} twice`);
    tags.add(tag);
  }
  return entries as { tag: string; when: number }[];
}
