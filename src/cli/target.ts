import { existsSync } from "node:fs";
import { parseLocalUrl } from "../client/file-url.js";
import { readWithoutTrace } from "../client/local/read-without-trace.js";
import type { StorageClient } from "../client/storage-client.js";
import { StorageError } from "../shared/errors.js";
import { openClient } from "../storage/open.js";
import { type ResolvedStorageOptions, resolveStorageOptions, type StorageOptions } from "../storage/options.js";
import { openResolved, type Storage } from "../storage/storage.js";
import type { CommandContext } from "./command.js";

/** The file that a command works on; undefined for a database in memory or on a server. */
export function fileOf({ url }: Pick<CommandContext, "url">): string | undefined {
  const target = parseLocalUrl(urlOf({ url }));
  return target === undefined || target.isMemory ? undefined : target.path;
}

/** The URL that a command works on, by the rules of `openStorage`. */
export function urlOf({ url }: Pick<CommandContext, "url">): string {
  return resolveStorageOptions(url).client.url;
}

/** Throws NOT_FOUND if the file is missing: only `migrate`, `import` and `restore` create one. */
export function requireFile(context: Pick<CommandContext, "url">): void {
  const path = fileOf(context);
  if (path === undefined || existsSync(path)) return;
  throw new StorageError(
    "NOT_FOUND",
    `There is no database ${path}. Name another with --url, or create one with \`holdfast migrate\``,
  );
}

/** Runs `work` on the storage, and closes it. */
export async function withStorage<T>(
  context: Pick<CommandContext, "url">,
  options: Pick<StorageOptions, "migrate" | "logger">,
  work: (storage: Storage) => Promise<T>,
): Promise<T> {
  return whileOpen(resolveStorageOptions({ url: context.url, ...options }), work);
}

/**
 * Runs `read` on an existing storage, which may be older than this code, without changing its files. Then calls the
 * function that `read` resolved to, which shows the result. If another process changed the file in between, `read` runs
 * again.
 */
export async function withReadable(
  context: Pick<CommandContext, "url">,
  read: (storage: Storage) => Promise<() => void | Promise<void>>,
  { migrate }: Pick<StorageOptions, "migrate"> = {},
): Promise<number> {
  requireFile(context);
  const options = resolveStorageOptions({ url: context.url, migrate });
  const path = fileOf(context);
  const show =
    path === undefined
      ? // A server has no such mode, and its schema may be too old for the query.
        await whileOpen({ ...options, migrate: migrate ?? "verify" }, read)
      : await readWithoutTrace(path, (readOnly) => whileOpen({ ...options, readOnly }, read));
  await show();
  return 0;
}

/**
 * Runs `work` on a client that leaves the file as it is, its journal mode included; on an empty database in memory if the
 * file is missing.
 */
export async function withUnchanged<T>(
  context: Pick<CommandContext, "url">,
  work: (client: StorageClient) => Promise<T>,
): Promise<T> {
  const path = fileOf(context);
  const url = path === undefined || existsSync(path) ? context.url : ":memory:";
  const { client } = await openClient(resolveStorageOptions({ url, migrate: "skip" }), { keepsJournal: true });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** The same for an existing storage with the schema of this code. */
export async function withExisting<T>(context: CommandContext, work: (storage: Storage) => Promise<T>): Promise<T> {
  requireFile(context);
  return withStorage(context, { migrate: "verify" }, work);
}

async function whileOpen<T>(options: ResolvedStorageOptions, work: (storage: Storage) => Promise<T>): Promise<T> {
  const storage = await openResolved(options);
  try {
    return await work(storage);
  } finally {
    await storage.close();
  }
}
