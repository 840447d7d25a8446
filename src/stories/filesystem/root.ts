import { randomUUID } from "node:crypto";
import { linkSync, readdirSync, realpathSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { stamp } from "../../client/file-steps.js";
import { StorageError } from "../../errors.js";
import { FileLock } from "../../memvid/file-lock.js";
import { asideName } from "./conflict-files.js";
import {
  append,
  assertFolder,
  type FileStamp,
  isStamp,
  lstat,
  makeFolder,
  namesIn,
  readTextSync,
  startWriting,
  syncFolder,
  toFileError,
  writeNew,
} from "./files.js";

/** Files to change together; paths are relative to the root. */
export interface RootChange {
  /** Files to write, in place of those there. */
  readonly writes: readonly { readonly path: string; readonly text: string }[];
  /** Files that stay as they are now, under another name as well. */
  readonly keeps: readonly { readonly from: string; readonly to: string }[];
  readonly removes: readonly string[];
  /** The state of each file that another program may change: one found in another state is put aside, not replaced. */
  readonly found: Readonly<Record<string, FileStamp | null>>;
  /** Lines for the index, made when the stamps of the files written are known. */
  readonly indexLines: (written: ReadonlyMap<string, FileStamp>) => string;
}

/** A change as the journal has it: all that is left to do is to move files. */
interface Journal {
  readonly keeps: readonly { readonly from: string; readonly to: string }[];
  readonly moves: readonly { readonly from: string; readonly to: string }[];
  readonly removes: readonly string[];
  readonly found?: Readonly<Record<string, FileStamp | null>>;
  /** Tells the files that are put aside from those of other changes. */
  readonly aside?: string;
  readonly indexLines: string;
  /** Removes all there is before; the lines are then the whole index. */
  readonly isClear?: boolean;
}

export const FOLDERS = ["stories", "metadata", "revisions", "preferences", "queue"] as const;
export const INDEX = ".index.jsonl";
/** Its name in earlier versions of this library. */
export const OLD_INDEX = ".index.json";
export const TOKEN = "token.json";
const JOURNAL = ".journal.json";
const STAGE = ".tmp";
const LOCK_TIMEOUT_MS = 30_000;
/** Files of a change that are open at once: a process may be allowed no more than 256. */
const SYNCS_AT_ONCE = 32;
/** How long this process keeps the lock while it has more to do, so that others get their turn. */
const HOLD_MS = 50;
const LOCK_CANDIDATE = /^\.write\.lock\.[0-9a-f]+\.new$/;
/** What a journal may name: a planted one must not reach anything else. */
const OWN_PATH = /^(?:(?:stories|metadata|\.tmp)\/[^/\\]+|revisions\/[^/\\.]+\/\d+\.json)$/;

/**
 * A folder whose files change together or not at all, for any number of processes.
 *
 * A change is written to temporary files, then listed in a journal, whose appearance under its name decides: before it
 * nothing has happened, after it the rest is moving files into place, which whoever takes the lock next does if the
 * process is gone.
 */
export class StoryRoot {
  readonly path: string;
  readonly #lock: FileLock;
  #waiting: { readonly work: () => Promise<void>; readonly fail: (error: unknown) => void }[] = [];
  #draining: Promise<void> | undefined;
  #stageCount = 0;

  private constructor(path: string) {
    this.path = path;
    this.#lock = new FileLock(join(path, ".write"));
  }

  /** Makes the folders where there are none, and finishes what a killed process has begun. */
  static async open(path: string): Promise<StoryRoot> {
    try {
      makeFolderTree(path);
      const root = new StoryRoot(realpathSync(path));
      for (const folder of [...FOLDERS, STAGE]) makeFolder(root.at(folder));
      await root.locked(async () => {
        for (const name of namesIn(root.at(STAGE))) rmSync(root.at(STAGE, name), { recursive: true, force: true });
        // What a process leaves that is killed while it asks for the lock. One that still asks makes it again.
        for (const name of readdirSync(root.path))
          if (LOCK_CANDIDATE.test(name)) rmSync(root.at(name), { force: true });
      });
      return root;
    } catch (error) {
      throw toFileError(error);
    }
  }

  at(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  /** Runs `work` alone: no other process, and nothing else of this one, changes the folder meanwhile. */
  locked<T>(work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const fail = (error: unknown) => reject(toFileError(error));
      this.#waiting.push({ work: () => work().then(resolve, fail), fail });
      this.#draining ??= this.#drain();
    });
  }

  /** Makes a change; only under the lock. Rejects where nothing of it has happened. */
  async commit({ writes, keeps, removes, found, indexLines }: RootChange): Promise<void> {
    const moves = writes.map(({ path }) => ({ from: `${STAGE}/${this.#stageName()}`, to: path }));
    const aside = `${stamp(new Date())}-${randomUUID().slice(0, 8)}`;
    await this.#decide(
      writes,
      (written) => ({
        keeps,
        moves,
        removes,
        found,
        aside,
        indexLines: indexLines(written),
      }),
      { keeps, moves },
    );
  }

  /** Removes everything; only under the lock. */
  async clear(indexLines: string): Promise<void> {
    const nothing = { keeps: [], moves: [], removes: [] };
    await this.#decide([], () => ({ ...nothing, indexLines, isClear: true }), nothing);
  }

  async #decide(
    writes: RootChange["writes"],
    toJournal: (written: ReadonlyMap<string, FileStamp>) => Journal,
    { keeps, moves }: Pick<Journal, "keeps" | "moves">,
  ): Promise<void> {
    for (const folder of [...FOLDERS, STAGE]) assertFolder(this.at(folder));
    const staged = this.at(STAGE, this.#stageName());
    let syncing: Promise<void>[] = [];
    let journal: Journal;
    try {
      for (const { to } of moves) makeFolder(dirname(this.at(to)));
      for (const { to } of keeps) {
        makeFolder(dirname(this.at(to)));
        // Left over from a folder that was put together by hand: no metadata names it.
        rmSync(this.at(to), { force: true });
      }
      const written = new Map<string, FileStamp>();
      for (const [index, { path, text }] of writes.entries()) {
        if (syncing.length === SYNCS_AT_ONCE) {
          await Promise.all(syncing);
          syncing = [];
        }
        const { stamp: own, synced } = startWriting(this.at(moves[index]!.from), text);
        written.set(path, own);
        syncing.push(synced);
      }
      journal = toJournal(written);
      syncing.push(writeNew(staged, JSON.stringify(journal)));
      await Promise.all(syncing);
      // The journal counts on the names of what is staged, and a loss of power may keep the later one of two.
      await syncFolder(this.at(STAGE));
      renameSync(staged, this.at(JOURNAL));
    } catch (error) {
      // All of it is settled before any of it is taken back.
      await Promise.allSettled(syncing);
      for (const { from } of moves) rmSync(this.at(from), { force: true });
      rmSync(staged, { force: true });
      throw error;
    }
    await syncFolder(this.path);
    await this.#finish(journal);
  }

  /** Writes one file; only under the lock. */
  async write(path: string, text: string): Promise<void> {
    const target = this.at(path);
    assertFolder(dirname(target));
    const staged = this.at(STAGE, this.#stageName());
    try {
      await writeNew(staged, text);
      renameSync(staged, target);
    } catch (error) {
      rmSync(staged, { force: true });
      throw error;
    }
    await syncFolder(dirname(target));
  }

  /** Removes one file; only under the lock. False if there was none. */
  async remove(path: string): Promise<boolean> {
    const target = this.at(path);
    assertFolder(dirname(target));
    if (lstat(target) === undefined) return false;
    rmSync(target, { force: true });
    await syncFolder(dirname(target));
    return true;
  }

  /** Resolves once all that was asked for is done and the lock is given back. */
  async idle(): Promise<void> {
    await this.#draining;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) await this.#takeTurn();
    this.#draining = undefined;
  }

  async #takeTurn(): Promise<void> {
    try {
      const turn = async () => {
        await this.#recover();
        const start = performance.now();
        do await this.#waiting.shift()!.work();
        while (this.#waiting.length > 0 && performance.now() - start < HOLD_MS);
        return true;
      };
      if ((await this.#lock.withLock(turn, LOCK_TIMEOUT_MS)) === null) throw await this.#busy();
    } catch (error) {
      const failed = this.#waiting;
      this.#waiting = [];
      for (const { fail } of failed) fail(error);
    }
  }

  /** Finishes what a process has decided and not done. */
  async #recover(): Promise<void> {
    if (lstat(this.at(JOURNAL)) === undefined) return;
    const journal = parseJournal(readTextSync(this.at(JOURNAL)));
    if (journal !== undefined) return this.#finish(journal);
    // Not one of ours, which appear whole: it is put aside, and the index is made anew from the files.
    renameSync(this.at(JOURNAL), this.at(`${JOURNAL}.damaged-${Date.now()}`));
    this.#dropIndex();
  }

  /** Any number of times with the same outcome. */
  async #finish(journal: Journal): Promise<void> {
    const { keeps, moves, removes, indexLines, isClear } = journal;
    if (isClear === true) {
      await this.#empty(indexLines);
      rmSync(this.at(JOURNAL), { force: true });
      return;
    }
    const folders = new Set<string>();
    const touch = (path: string) => {
      const folder = dirname(this.at(path));
      if (!folders.has(folder)) makeFolder(folder);
      folders.add(folder);
    };
    // What is kept under another name comes first: once it is there, what follows may take its place.
    for (const { from, to } of keeps) {
      touch(to);
      if (lstat(this.at(to)) === undefined && lstat(this.at(from)) !== undefined) linkSync(this.at(from), this.at(to));
    }
    for (const { from, to } of moves) {
      touch(to);
      if (lstat(this.at(from)) === undefined) continue;
      this.#putAside(journal, to);
      renameSync(this.at(from), this.at(to));
    }
    for (const path of removes) {
      touch(path);
      this.#putAside(journal, path);
      rmSync(this.at(path), { force: true });
    }
    await Promise.all([...[...folders].map(syncFolder), this.extendIndex(indexLines)]);
    rmSync(this.at(JOURNAL), { force: true });
  }

  /** Keeps a file that another program has put in place since the change was made up, under a name beside it. */
  #putAside({ found, aside }: Journal, path: string): void {
    const expected = found?.[path];
    if (expected === undefined || aside === undefined) return;
    const stats = lstat(this.at(path));
    if (stats?.isFile() !== true || isStamp(expected ?? undefined, stats)) return;
    const to = this.at(asideName(path, aside));
    if (lstat(to) === undefined) linkSync(this.at(path), to);
  }

  /** Adds lines to the index; only under the lock. The next reader rebuilds one that is not there from the files. */
  async extendIndex(lines: string): Promise<void> {
    if (lstat(this.at(INDEX))?.isFile() !== true) return;
    await append(this.at(INDEX), lines).catch(() => this.#dropIndex());
  }

  async #empty(indexLines: string): Promise<void> {
    this.#dropIndex();
    for (const folder of FOLDERS) {
      assertFolder(this.at(folder));
      for (const name of namesIn(this.at(folder))) rmSync(this.at(folder, name), { recursive: true, force: true });
    }
    rmSync(this.at(TOKEN), { force: true });
    await Promise.all(FOLDERS.map((folder) => syncFolder(this.at(folder))));
    await this.write(INDEX, indexLines);
  }

  /** One that lacks a line is worse than none: without it, the next reader makes it anew. */
  #dropIndex(): void {
    rmSync(this.at(INDEX), { force: true });
  }

  #stageName(): string {
    return `${process.pid}-${++this.#stageCount}-${randomUUID()}`;
  }

  async #busy(): Promise<StorageError> {
    const holder = await this.#lock.holder();
    const who = holder === null ? "Another process" : `Process ${holder.pid} on ${holder.host}`;
    return new StorageError("BUSY", `${who} kept ${this.#lock.path} for ${LOCK_TIMEOUT_MS} ms: try again`, {
      retryable: true,
    });
  }
}

function makeFolderTree(path: string): void {
  // The root itself may be reached through links: where it is, is the caller's choice.
  if (lstat(path)?.isSymbolicLink() === true) readdirSync(path);
  else makeFolder(path);
}

function parseJournal(text: string | undefined): Journal | undefined {
  try {
    const journal = JSON.parse(text ?? "") as Journal;
    const paths = [...journal.keeps, ...journal.moves].flatMap(({ from, to }) => [from, to]);
    const isOwn = [...paths, ...journal.removes].every((path) => OWN_PATH.test(path) && !path.includes("/.."));
    return isOwn && typeof journal.indexLines === "string" ? journal : undefined;
  } catch {
    // Whatever is wrong with it, it is none of ours.
    return undefined;
  }
}
