import { accessSync, constants, existsSync } from "node:fs";
import { dirname } from "node:path";
import { parseLocalUrl } from "../client/file-url.js";
import { StorageError } from "../errors.js";
import { openStorage, type Storage } from "../storage.js";
import { resolveStorageOptions, type StorageOptions } from "../storage-options.js";
import type { CommandContext } from "./command.js";

/** The file that a command works on; undefined where the database is elsewhere, or in memory. */
export function fileOf({ url }: Pick<CommandContext, "url">): string | undefined {
  const target = parseLocalUrl(urlOf({ url }));
  return target === undefined || target.isMemory ? undefined : target.path;
}

/** The URL that a command works on, by the rules of `openStorage`. */
export function urlOf({ url }: Pick<CommandContext, "url">): string {
  return resolveStorageOptions(url).client.url;
}

/** Throws NOT_FOUND where the file is missing: no command but `migrate`, `import` and `restore` makes one. */
export function requireFile(context: Pick<CommandContext, "url">): void {
  const path = fileOf(context);
  if (path === undefined || existsSync(path)) return;
  throw new StorageError(
    "NOT_FOUND",
    `There is no database ${path}. Name another with --url, or make one with \`holdfast migrate\``,
  );
}

/** Runs `work` on the storage, and closes it. */
export async function withStorage<T>(
  { url }: Pick<CommandContext, "url">,
  options: Pick<StorageOptions, "migrate" | "logger" | "readOnly">,
  work: (storage: Storage) => Promise<T>,
): Promise<T> {
  const storage = await openStorage({ ...(url === undefined ? {} : { url }), ...options });
  try {
    return await work(storage);
  } finally {
    await storage.close();
  }
}

/** The same for one that is only read: it has to be there, and may be older than this code. Nothing of it is changed. */
export async function withReadable<T>(context: CommandContext, work: (storage: Storage) => Promise<T>): Promise<T> {
  requireFile(context);
  const readOnly = readOnlyFor(context);
  // A server has no such mode, and an older one may lack what is asked for.
  return withStorage(context, "readOnly" in readOnly ? readOnly : { migrate: "verify" }, work);
}

/** For commands that change nothing, where the database is a file. */
export function readOnlyFor(context: Pick<CommandContext, "url">): Pick<StorageOptions, "readOnly"> {
  const path = fileOf(context);
  if (path === undefined) return {};
  try {
    accessSync(dirname(path), constants.W_OK);
    return { readOnly: true };
  } catch {
    // SQLite cannot make its -shm here. Without a log, no process has the file open in WAL mode.
    return { readOnly: existsSync(`${path}-wal`) ? true : "immutable" };
  }
}

/** The same for one that has to be there, with the schema of this code. */
export async function withExisting<T>(context: CommandContext, work: (storage: Storage) => Promise<T>): Promise<T> {
  requireFile(context);
  return withStorage(context, { migrate: "verify" }, work);
}
