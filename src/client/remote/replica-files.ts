import { chmodSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { LibsqlError } from "@libsql/client/sqlite3";

/** Where libSQL keeps how far a replica is: sqld's protocol, and that of Turso. */
export const METADATA_SUFFIXES = ["-client_wal_index", "-info"] as const;
/** Held, as a lock of SQLite, while frames are fetched into the replica next to it. */
export const LOCK_SUFFIX = "-fetch-lock";
/** What the library knows of the replica and its metadata after the last fetch. */
export const STATE_SUFFIX = "-fetch-state";

/** Why a file cannot go on as a replica. */
export type Unusable =
  | "plain"
  | "databaseMissing"
  | "mismatch"
  | "replaced"
  /** In the words of SQLite or libSQL. */
  | { readonly reason: string };

const REASONS = {
  plain: "it is a database without replica metadata, so it was not fetched from a primary",
  databaseMissing: "its metadata is there, but the database is missing or empty",
  mismatch: "the database is not the one that its metadata was written for, such as an older copy",
  replaced: "its files were deleted or replaced while it was open",
};

/** Says which files to delete; only that, or fetching again, cures such a file. */
export function replicaUnusable(path: string, why: Unusable): LibsqlError {
  const reason = typeof why === "string" ? REASONS[why] : why.reason;
  const elsewhere = why === "plain" ? ". To keep it, open it without `syncUrl`" : "";
  return new LibsqlError(
    `${path} cannot be used as a replica: ${reason}. ${replicaAdvice(path)}${elsewhere}`,
    "REPLICA_UNUSABLE",
  );
}

/** The way out for a replica whose file is damaged or not its own. */
export function replicaAdvice(path: string): string {
  return `Close it, delete ${listFiles(path)} (those that exist), and open it again with \`syncUrl\`, which fetches everything from the primary`;
}

/** The metadata files next to a database, which make it a replica. */
export function findMetadata(path: string): string[] {
  return METADATA_SUFFIXES.map((suffix) => path + suffix).filter((file) => exists(file));
}

/** Refuses a database that was not fetched from a primary, before anything is written next to it. */
export function assertNotPlain(path: string): void {
  if (exists(path) && findMetadata(path).length === 0) throw replicaUnusable(path, "plain");
}

/** Which file a name stands for, to tell whether another one has taken its place. */
export function inodeOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** SQLite and libSQL have made the files readable for everyone that the umask lets in. */
export function makePrivate(path: string): void {
  const name = basename(path);
  const ours = new Set([name, ...allSuffixes().map((suffix) => name + suffix)]);
  for (const file of readdirSync(dirname(path))) {
    if (ours.has(file)) chmodSync(join(dirname(path), file), 0o600);
  }
}

function listFiles(path: string): string {
  const [last, ...others] = allSuffixes()
    .map((suffix) => basename(path) + suffix)
    .reverse();
  return `${[path, ...others.reverse()].join(", ")} and ${last}`;
}

function allSuffixes(): string[] {
  return ["-wal", "-shm", ...METADATA_SUFFIXES, LOCK_SUFFIX, STATE_SUFFIX];
}
