import { type SQL, sql } from "drizzle-orm";
import { DEFAULT_PROJECT } from "../areas/arguments.js";
import { memories, memoryEmbeddings } from "../schema/memories.js";
import { StorageError } from "../shared/errors.js";
import type { StorageTransaction } from "../storage/transaction.js";

export interface CapacityOptions {
  readonly maxSize: number;
  readonly onFull: "refuse" | "evict";
}

/** An empty file has 300 KB, and its tables and indexes grow by pages, so a smaller file says little about its contents. */
const SMALL_FILE_BYTES = 1024 * 1024;
/** The share of `maxSize` that stays free: the full-text index sometimes needs it to merge its parts. */
const RESERVE = 0.15;
/** The share of `maxSize` that is removed in addition, so that not every write has to remove entries. */
const SLACK = 0.02;
/** About how many bytes a row takes in tables and indexes in addition to its texts. */
const ROW_BYTES = 300;
/** How many rows to read at once. */
const PAGE_ROWS = 500;

const m = memories;
const e = memoryEmbeddings;
const isOwn = sql`${m.project} = ${DEFAULT_PROJECT}`;
const isLive = sql`${m.deletedAt} is null`;

/**
 * Makes room within `maxSize` for the entry `id`, which has just been stored: removes the oldest other entries, or rejects
 * with `FULL`, which rolls the transaction back.
 */
export async function makeRoom(tx: StorageTransaction, id: string, options: CapacityOptions): Promise<void> {
  const { maxSize, onFull } = options;
  if (maxSize === Number.POSITIVE_INFINITY) return;
  const over = await overshoot(tx, maxSize);
  if (over === undefined) return;
  const isGone = onFull === "evict" && (await evictOldest(tx, id, over.bytes, over.rowBytes));
  if (isGone) return;
  const instead = onFull === "evict" ? "The entry alone does not fit" : 'Remove entries, or choose `onFull: "evict"`';
  throw new StorageError(
    "FULL",
    `The file would have ${over.size} bytes, more than \`maxSize\`, ${maxSize}. Nothing was stored. ${instead}`,
  );
}

interface Overshoot {
  readonly size: number;
  /** How many bytes to remove. */
  readonly bytes: number;
  /** How many bytes the removal of a row frees. */
  readonly rowBytes: SQL;
}

/** By how much the file, or the contents of a small file, are too large; undefined if they are not. */
async function overshoot(tx: StorageTransaction, maxSize: number): Promise<Overshoot | undefined> {
  const [file] = await tx.db.all<{ bytes: number }>(
    sql`select (page_count - freelist_count) * page_size as bytes
      from pragma_page_count, pragma_freelist_count, pragma_page_size`,
  );
  const size = file!.bytes;
  const limit = Math.max(maxSize * (1 - RESERVE), SMALL_FILE_BYTES);
  if (size > limit) {
    const vectors = sql`(select coalesce(sum(length(${e.vector})), 0) from ${e} where ${e.memoryRowId} = ${m.rowId})`;
    // The index of a text takes about two thirds of its bytes.
    const texts = sql`octet_length(${m.content}) * 5 / 3 + octet_length(${m.metadata})`;
    return { size, bytes: size - limit + maxSize * SLACK, rowBytes: sql`${texts} + ${vectors} + ${ROW_BYTES}` };
  }
  // The contents are part of the file, so they can only be too large if the file is.
  if (size <= maxSize) return undefined;
  const rowBytes = sql`case when ${isLive} then octet_length(${m.content}) else 0 end`;
  const [contents] = await tx.db.all<{ bytes: number }>(
    sql`select coalesce(sum(${rowBytes}), 0) as bytes from ${m} where ${isOwn}`,
  );
  const { bytes } = contents!;
  return bytes <= maxSize ? undefined : { size: bytes, bytes: bytes - maxSize, rowBytes };
}

/** Removes deleted entries, then the oldest ones except `id`, until `bytes` are free. False if there are too few. */
async function evictOldest(tx: StorageTransaction, id: string, bytes: number, rowBytes: SQL): Promise<boolean> {
  for (let left = bytes; left > 0; ) {
    const rows = await tx.db.all<{ id: string; bytes: number }>(
      sql`select ${m.id} as id, ${rowBytes} as bytes from ${m} where ${isOwn} and ${m.id} <> ${id}
        order by ${m.deletedAt} is null, ${m.createdAt}, ${m.rowId} limit ${PAGE_ROWS}`,
    );
    if (rows.length === 0) return false;
    for (const row of rows) {
      if (left <= 0) break;
      await tx.memories.purge(row.id);
      left -= row.bytes;
    }
  }
  return true;
}
