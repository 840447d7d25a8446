import { sql } from "drizzle-orm";
import { StorageError } from "../errors.js";
import type { Memory } from "../repositories/memory-record.js";
import { memories } from "../schema/memories.js";
import type { Project, Storage } from "../storage.js";
import { FRAME_PROJECT, type FrameDraft, toFrameId, toMemoryId } from "./frame.js";
import { FrameNotFoundError } from "./memvid-error.js";

const m = memories;

/** The memories that frames are. */
export function frames(storage: Storage): Project["memories"] {
  return storage.project(FRAME_PROJECT).memories;
}

/** The frame number that is next; removed frames keep theirs. */
export async function nextFrameId(storage: Pick<Storage, "db">): Promise<number> {
  const [row] = await storage.db.all<{ id: string }>(
    sql`select ${m.id} as id from ${m} where ${m.project} = ${FRAME_PROJECT}
      and ${m.id} >= ${toMemoryId(0)} and ${m.id} <= '999999999999' and length(${m.id}) = 12 order by ${m.id} desc limit 1`,
  );
  return row === undefined ? 0 : Number(row.id) + 1;
}

/** A frame to be stored, with the vector that an embedder made. */
export interface FrameToStore {
  readonly draft: FrameDraft;
  readonly made?: { readonly vector: readonly number[]; readonly model: string } | undefined;
}

interface WaitingPut {
  readonly frames: readonly FrameToStore[];
  readonly resolve: (ids: string[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Stores frames; calls that wait together share one commit, each with its own result. */
export class FrameWriter {
  #waiting: WaitingPut[] = [];
  #isWriting = false;

  /** Stores all of `frames`, or none; resolves to their ids, in order. */
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
    // One that is wrong must not take the others with it.
    for (const put of puts) await writeTogether(storage, [put]);
  }
}

/** Whether the error is about what was put, rather than about the file, which would refuse the others as well. */
function isOfOneFrame(error: unknown): boolean {
  if (error instanceof StorageError) return error.code === "DIMENSION_MISMATCH" || error.code === "INVALID";
  return error instanceof TypeError || error instanceof RangeError;
}

/** Stores all frames or none; resolves to their ids. Numbers are given out under the write lock, so that no two processes take the same. */
async function store(storage: Storage, batch: readonly FrameToStore[]): Promise<string[]> {
  if (batch.length === 0) return [];
  return storage.transaction(async (tx) => {
    const first = await nextFrameId(tx);
    await tx
      .project(FRAME_PROJECT)
      .memories.insertMany(batch.map(({ draft, made }, i) => draft.toMemory(first + i, made)));
    return batch.map((_, index) => String(first + index));
  });
}

/** The memory of a frame; rejects with MV010. */
export async function requireFrame(storage: Storage, frameId: number | string): Promise<Memory> {
  const id = toFrameId(frameId);
  const memory = await frames(storage).get(toMemoryId(id));
  if (memory === undefined) throw missingFrame(id);
  return memory;
}

/** What to throw when there is no frame of this id. */
export function missingFrame(id: number): FrameNotFoundError {
  return new FrameNotFoundError(`There is no frame ${id}, or it was removed`);
}
