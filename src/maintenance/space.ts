import { setTimeout as sleep } from "node:timers/promises";
import { scalar } from "../areas/executor.js";
import { asStorageErrors } from "../client/storage-error.js";
import { StorageError } from "../shared/errors.js";
import { expectKeys } from "../shared/known-keys.js";
import { checkLongCall, type LongCallOptions } from "../shared/long-call.js";
import type { MaintenanceContext } from "./context.js";
import { isFullDisk, makeRoom, moveLog } from "./room.js";

/** What `compact` did. */
export interface CompactResult {
  /** The size of the database before, without its log. */
  readonly bytesBefore: number;
  /** Its size now. */
  readonly bytesAfter: number;
  /** Free bytes that stay in the file, because it was made without incremental vacuum or other processes free them. */
  readonly freeBytes: number;
}

/** How long a step holds the write lock before it commits: with the commit itself well below 50 ms. */
export const STEP_MS = 15;

const FIRST_PAGES = 32;
const MOST_PAGES = 2048;

/** Returns free pages to the file system, and measures it; see `Storage.compact`. */
export async function compactStorage(
  context: Pick<MaintenanceContext, "client">,
  options: LongCallOptions,
): Promise<CompactResult> {
  expectKeys("compact", options, ["onProgress", "signal"]);
  checkLongCall(options);
  const { local } = context.client;
  if (local === undefined) {
    throw new StorageError("NOT_SUPPORTED", "Only a file can be compacted. Compact it where its server runs");
  }
  const read = async (pragma: string) => Number(scalar(await local.execute(`PRAGMA ${pragma}`)));
  const bytesOf = async (pragma: string) => (await read(pragma)) * (await read("page_size"));
  return asStorageErrors(async () => {
    const bytesBefore = await bytesOf("page_count");
    await reclaimSpace(context, options);
    return { bytesBefore, bytesAfter: await bytesOf("page_count"), freeBytes: await bytesOf("freelist_count") };
  });
}

/**
 * Returns free pages of the file to the file system, in steps that each hold the write lock for a few ms.
 *
 * A file that another tool made without incremental vacuum keeps them for later rows.
 */
export async function reclaimSpace(
  { client: { local: client } }: Pick<MaintenanceContext, "client">,
  { onProgress, signal }: LongCallOptions,
): Promise<void> {
  if (client === undefined) return;
  const read = async (pragma: string) => Number(scalar(await client.execute(`PRAGMA ${pragma}`)));
  const incremental = 2;
  if ((await read("auto_vacuum")) !== incremental) return;
  const total = await read("freelist_count");
  if (total === 0) return;
  let pages = FIRST_PAGES;
  for (let free = total; free > 0; ) {
    signal?.throwIfAborted();
    const start = performance.now();
    try {
      await client.execute(`PRAGMA incremental_vacuum(${pages})`);
    } catch (error) {
      // On a full disk, free pages stay in the file for new records. The records were removed all the same.
      if (!isFullDisk(error)) throw error;
      if (pages === 1 || !(await makeRoom(client))) return;
      pages = 1;
      continue;
    }
    const tookMs = performance.now() - start;
    const left = await read("freelist_count");
    // Others free pages as fast as these are returned; the next call continues.
    if (left >= free) break;
    free = left;
    onProgress?.({ phase: "space", done: Math.max(0, total - free), total });
    pages = tookMs > STEP_MS ? Math.max(1, pages >> 1) : Math.min(MOST_PAGES, tookMs < STEP_MS / 3 ? pages * 2 : pages);
    await sleep(tookMs);
  }
  // The file shrinks when the log is moved into it.
  await moveLog(client);
}
