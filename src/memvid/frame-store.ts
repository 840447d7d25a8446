import { type SQL, sql } from "drizzle-orm";
import { DEFAULT_PROJECT } from "../areas/arguments.js";
import type { Memory } from "../areas/memories/record.js";
import { memories } from "../schema/memories.js";
import { StorageError } from "../shared/errors.js";
import type { Storage } from "../storage/storage.js";
import { type FrameDraft, frameIdOfUri, fromRowId, NO_SOURCE, toRowId } from "./frame.js";
import { FrameNotFoundError } from "./memvid-error.js";

const m = memories;

/** The condition for the memories that are frames or entries, removed ones included. */
export const isFrame = sql`${m.project} = ${DEFAULT_PROJECT}`;

/** The number of the next frame; removed frames keep theirs. The number of a frame is that of its row, from 0. */
export async function nextFrameId(storage: Pick<Storage, "db">): Promise<number> {
  const [row] = await storage.db.all<{ seq: number }>(sql`select seq from sqlite_sequence where name = 'memories'`);
  return row?.seq ?? 0;
}

/** A frame to store, with the vector of the embedder. */
export interface FrameToStore {
  readonly draft: FrameDraft;
  readonly made?: { readonly vector: readonly number[]; readonly model: string } | undefined;
}

interface WaitingPut {
  readonly frames: readonly FrameToStore[];
  readonly resolve: (ids: string[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Stores frames. Calls that wait together share a commit, and each has its own result. */
export class FrameWriter {
  #waiting: WaitingPut[] = [];
  #isWriting = false;

  /** Stores all of `frames` or none; resolves to their ids in order. */
  put(storage: Storage, frames: readonly FrameToStore[]): Promise<string[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ frames, resolve, reject });
      if (!this.#isWriting) void this.#write(storage);
    });
  }

  async #write(storage: Storage): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const puts = this.#waiting;
      this.#waiting = [];
      await writeTogether(storage, puts);
    }
    this.#isWriting = false;
  }
}

async function writeTogether(storage: Storage, puts: readonly WaitingPut[]): Promise<void> {
  try {
    const ids = await store(
      storage,
      puts.flatMap(({ frames }) => frames),
    );
    let at = 0;
    for (const { frames, resolve } of puts) {
      resolve(ids.slice(at, at + frames.length));
      at += frames.length;
    }
  } catch (error) {
    if (puts.length === 1 || !isOfOneFrame(error)) {
      for (const { reject } of puts) reject(error);
      return;
    }
    // A wrong frame must not make the others fail.
    for (const put of puts) await writeTogether(storage, [put]);
  }
}

/** Whether the error is about the frame and not about the file, which would refuse the others too. */
function isOfOneFrame(error: unknown): boolean {
  if (error instanceof StorageError) return error.code === "DIMENSION_MISMATCH" || error.code === "INVALID";
  return error instanceof TypeError || error instanceof RangeError;
}

/** Stores all frames or none; resolves to their ids. The write lock is held, so no other process takes the same numbers. */
async function store(storage: Storage, batch: readonly FrameToStore[]): Promise<string[]> {
  if (batch.length === 0) return [];
  return storage.transaction(async (tx) => {
    const first = await nextFrameId(tx);
    await tx.memories.insertMany(batch.map(({ draft, made }, i) => draft.toMemory(first + i, made)));
    return batch.map((_, index) => String(first + index));
  });
}

/** The memory of a frame; rejects with MV010 if there is none. */
export async function requireFrame(storage: Storage, frameId: number): Promise<Memory> {
  const rowId = toRowId(frameId);
  const memory = (await storage.memories.read([rowId])).get(rowId);
  if (memory === undefined) throw missingFrame(frameId);
  return memory;
}

/** The number of the last frame put under a URI; undefined if there is none. */
export async function findByUri(storage: Storage, uri: string): Promise<number | undefined> {
  const find = async (condition: SQL) => {
    const [row] = await storage.db.all<{ rowId: number }>(
      sql`select ${m.rowId} as "rowId" from ${m} where ${isFrame} and ${m.deletedAt} is null and ${condition}
        order by ${m.rowId} desc limit 1`,
    );
    return row === undefined ? undefined : fromRowId(row.rowId);
  };
  const named = await find(sql`${m.source} = ${uri}`);
  const frameId = frameIdOfUri(uri);
  if (named !== undefined || frameId === undefined) return named;
  return find(sql`${m.source} = ${NO_SOURCE} and ${m.rowId} = ${toRowId(frameId)}`);
}

/** The error for a missing frame. */
export function missingFrame(id: number): FrameNotFoundError {
  return new FrameNotFoundError(`There is no frame ${id}, or it was removed`);
}
