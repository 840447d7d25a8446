import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { scalar } from "../areas/executor.js";
import { isFull } from "../client/sql/sqlite-error.js";
import type { EngineClient, LocalDatabase } from "../client/storage-client.js";
import { toStorageError } from "../client/storage-error.js";
import { StorageError } from "../shared/errors.js";

/** How many pages to free at once, in ever smaller steps: each page that moves is written to the log first. */
const STEPS = [256, 64, 16, 4, 1];
/** More than the removal of a record writes to the log. */
const SPARE_BYTES = 1024 * 1024;

/**
 * Runs a removal. If the disk is full, moves the log into the file, so that the log starts again in its own space, and
 * runs it once more. If there is no room for that, rejects with FULL and says how much space is needed.
 */
export async function withRoom<T>({ local }: EngineClient, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isFullDisk(error) || local === undefined) throw error;
    if (!(await makeRoom(local))) throw await fullDiskError(local, error);
  }
  try {
    return await work();
  } catch (error) {
    throw isFullDisk(error) ? await fullDiskError(local, error) : error;
  }
}

/**
 * Moves the log into the file; false if the disk is too full for that. If the file would have to grow, its free pages are
 * released first, so that it ends before the pages that have no room.
 */
export async function makeRoom(client: LocalDatabase): Promise<boolean> {
  if (await moveLog(client)) return true;
  for (const pages of STEPS) {
    try {
      await client.execute(`PRAGMA incremental_vacuum(${pages})`);
      if (await moveLog(client)) return true;
    } catch (error) {
      if (!isFullDisk(error)) throw error;
    }
  }
  return false;
}

/** Moves the log into the file; false if the file cannot grow as needed. */
export async function moveLog(client: LocalDatabase): Promise<boolean> {
  try {
    await client.checkpoint();
    return true;
  } catch (error) {
    if (!isFullDisk(error)) throw error;
    return false;
  }
}

export function isFullDisk(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) if (isFull(at)) return true;
  return false;
}

export async function fullDiskError(client: LocalDatabase, error: unknown): Promise<unknown> {
  const { path } = client.pool.options;
  const failure = toStorageError(error);
  if (!(failure instanceof StorageError)) return failure;
  const read = async (pragma: string) => Number(scalar(await client.execute(`PRAGMA ${pragma}`)));
  const wanted = (await read("page_count")) * (await read("page_size"));
  const { bavail, bsize } = statfsSync(dirname(path));
  const missing = wanted - (statSync(path, { throwIfNoEntry: false })?.size ?? 0) - bavail * bsize + SPARE_BYTES;
  const megabytes = Math.max(1, Math.ceil(missing / 1e6));
  return new StorageError(
    "FULL",
    `The disk of ${path} is full: a removal is written to the log first, and the log has no room. Move something else off this disk, about ${megabytes} MB, then prune, which removes in small steps and gives the space back; purge and purgeProject need room for all that they remove`,
    { cause: failure.cause ?? failure },
  );
}
