import { existsSync } from "node:fs";
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
  options: Pick<StorageOptions, "migrate" | "logger">,
  work: (storage: Storage) => Promise<T>,
): Promise<T> {
  const storage = await openStorage({ ...(url === undefined ? {} : { url }), ...options });
  try {
    return await work(storage);
  } finally {
    await storage.close();
  }
}

/** The same for one that has to be there, with the schema of this code. */
export async function withExisting<T>(context: CommandContext, work: (storage: Storage) => Promise<T>): Promise<T> {
  requireFile(context);
  return withStorage(context, { migrate: "verify" }, work);
}
