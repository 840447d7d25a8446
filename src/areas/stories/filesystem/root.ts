import { randomUUID } from "node:crypto";
import { linkSync, readdirSync, realpathSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { syncFolder } from "../../../files/folders.js";
import { FileLock } from "../../../files/lock/file-lock.js";
import { stamp } from "../../../files/place-file.js";
import { StorageError } from "../../../shared/errors.js";
import { InFlight } from "../../../shared/in-flight.js";
import { Turn } from "../../../shared/turn.js";
import { asideName } from "./conflict-files.js";
import {
  append,
  assertFolder,
  assertReplaceable,
  type FileStamp,
  isStamp,
  lstat,
  makeFolder,
  namesIn,
  readTextSync,
  SYNCS_AT_ONCE,
  startWriting,
  syncFolders,
  toFileError,
  toUnknownOutcome,
  writeNew,
} from "./files.js";
import { type Journal, parseJournal } from "./journal.js";

/** Files to change together; paths are relative to the root. */
export interface RootChange {
  /** Files to write or replace. */
  readonly writes: readonly { readonly path: string; readonly text: string }[];
  /** Files that get another name for their current content. */
  readonly keeps: readonly { readonly from: string; readonly to: string }[];
  readonly removes: readonly string[];
  /** The expected state of each file that other programs may change. A file in another state is put aside first. */
  readonly found: Readonly<Record<string, FileStamp | null>>;
  /** Makes the lines for the index when the stamps of the written files are known. */
  readonly indexLines: (written: ReadonlyMap<string, FileStamp>) => string;
}

const FOLDERS = ["stories", "metadata", "revisions", "preferences", "queue"] as const;
export const INDEX = ".index.jsonl";
/** Its name in earlier versions of this library. */
export const OLD_INDEX = ".index.json";
export const TOKEN = "token.json";
const JOURNAL = ".journal.json";
const STAGE = ".tmp";
const LOCK_TIMEOUT_MS = 30_000;
/** Attempts to finish a decided change, and half the pause before the second one; each later pause is doubled. */
const ATTEMPTS = 4;
const PAUSE_MS = 10;
/** How long this process keeps the lock while its calls wait, so that other processes get their turn. */
const HOLD_MS = 50;
const LOCK_CANDIDATE = /^\.write\.lock\.[0-9a-f]+\.new$/;

/**
 * A folder whose files change together or not at all, for any number of processes.
 *
 * A change is written to temporary files, then listed in a journal. The rename of the journal decides: before it nothing
 * has happened; after it, files only have to be moved into place. If the process dies, the lock's next owner does that.
 */
export class StoryRoot {
  readonly path: string;
  readonly #lock: FileLock;
  readonly #turn = new Turn();
  readonly #calls = new InFlight();
  /** When this process took the lock that it holds. */
  #heldSince: number | undefined;
  #stageCount = 0;
  /** A change of this process is decided but could not be finished. */
  #isUnfinished = false;

  private constructor(path: string) {
    this.path = path;
    this.#lock = new FileLock(join(path, ".write"));
  }

  /** Makes missing folders, and finishes the change of a killed process. */
  static async open(path: string): Promise<StoryRoot> {
    try {
      const made = makeFolderTree(path);
      const root = new StoryRoot(realpathSync(path));
      for (const folder of [...FOLDERS, STAGE]) made.push(...makeFolder(root.at(folder)));
      await syncFolders(new Set(made));
      await root.locked(async () => {
        for (const name of namesIn(root.at(STAGE))) rmSync(root.at(STAGE, name), { recursive: true, force: true });
        // A process that was killed while it asked for the lock leaves these. A process that still asks makes them again.
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

  /** Runs `work` exclusively: no other process, and no other call of this one, changes the folder at the same time. */
  locked<T>(work: () => Promise<T>): Promise<T> {
    return this.#calls.track(this.#turn.run(() => this.#underLock(work)));
  }

  /**
   * Makes a change; only under the lock. If it rejects, nothing has changed, unless the error's `outcome` is `"unknown"`:
   * the next call may still finish the change.
   */
  async commit({ writes, keeps, removes, found, indexLines }: RootChange): Promise<void> {
    const moves = writes.map(({ path }) => ({ from: `${STAGE}/${this.#stageName()}`, to: path }));
    const aside = `${stamp(new Date())}-${randomUUID().slice(0, 8)}`;
    for (const { to } of [...moves, ...keeps]) assertReplaceable(this.at(to));
    for (const path of removes) assertReplaceable(this.at(path));
    await this.#decide(
      writes,
      (written) => ({ keeps, moves, removes, found, aside, indexLines: indexLines(written) }),
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
    const named = new Set([this.at(STAGE)]);
    let syncing: Promise<void>[] = [];
    let journal: Journal;
    try {
      for (const { to } of [...moves, ...keeps])
        for (const folder of makeFolder(dirname(this.at(to)))) named.add(folder);
      for (const { from, to } of keeps) {
        // It is from a change that was not decided, or from a folder assembled by hand: no metadata names it.
        rmSync(this.at(to), { force: true });
        if (lstat(this.at(from)) !== undefined) linkSync(this.at(from), this.at(to));
        named.add(dirname(this.at(to)));
      }
      const written = new Map<string, FileStamp>();
      for (const [index, { path, text }] of writes.entries()) {
        if (syncing.length === SYNCS_AT_ONCE) {
          await Promise.all(syncing);
          syncing = [];
        }
        const { stamp: own, synced } = startWriting(this.at(moves[index]!.from), text);
        // If a later file cannot be written, nothing waits for this one.
        synced.catch(() => undefined);
        written.set(path, own);
        syncing.push(synced);
      }
      journal = toJournal(written);
      syncing.push(writeNew(staged, JSON.stringify(journal)));
      await Promise.all(syncing);
      // The names in the journal must be on the disk before it: a power failure may keep only the later of two renames.
      await syncFolders(named);
      renameSync(staged, this.at(JOURNAL));
    } catch (error) {
      // All writes must settle before any of them is undone.
      await Promise.allSettled(syncing);
      for (const { from } of moves) removeQuietly(this.at(from));
      for (const { to } of keeps) removeQuietly(this.at(to));
      removeQuietly(staged);
      throw error;
    }
    await this.#complete(journal);
  }

  /**
   * Finishes a decided change. If all attempts fail, it undoes the change if no file was moved. Otherwise the change stays
   * decided, and the next call finishes it.
   */
  async #complete(journal: Journal): Promise<void> {
    const progress = { hasBegun: false };
    let failure: unknown;
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      try {
        await syncFolder(this.path);
        await this.#finish(journal, progress);
        return;
      } catch (error) {
        failure ??= error;
        if (attempt < ATTEMPTS) await sleep(PAUSE_MS * 2 ** attempt);
      }
    }
    if (!progress.hasBegun && (await this.#undo(journal))) throw failure;
    this.#isUnfinished = true;
    throw toUnknownOutcome(failure);
  }

  /** Undoes the decision; false if it is not certain that nothing of the change is left. */
  async #undo({ moves }: Journal): Promise<boolean> {
    try {
      rmSync(this.at(JOURNAL), { force: true });
      await syncFolder(this.path);
    } catch {
      return false;
    }
    for (const { from } of moves) removeQuietly(this.at(from));
    return true;
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
      removeQuietly(staged);
      throw error;
    }
    await persist(() => syncFolder(dirname(target)));
  }

  /** Removes one file; only under the lock. False if there was none. */
  async remove(path: string): Promise<boolean> {
    const target = this.at(path);
    assertFolder(dirname(target));
    if (lstat(target) === undefined) return false;
    rmSync(target, { force: true });
    await persist(() => syncFolder(dirname(target)));
    return true;
  }

  /** Before a read: tries to finish a change that could not be finished, so that the read sees its end. */
  async settle(): Promise<void> {
    if (!this.#isUnfinished) return;
    // If it fails again, the read shows the files as they are.
    await this.locked(async () => undefined).catch(() => undefined);
  }

  /** Resolves when all calls are done and the lock is released. */
  idle(): Promise<void> {
    return this.#calls.settled();
  }

  async #underLock<T>(work: () => Promise<T>): Promise<T> {
    try {
      await this.#takeLock();
      return await work();
    } catch (error) {
      throw toFileError(error);
    } finally {
      await this.#releaseLock();
    }
  }

  /** Takes the lock unless this process still holds it. If that fails, the waiting calls fail too. */
  async #takeLock(): Promise<void> {
    try {
      if (this.#heldSince === undefined) {
        if (!(await this.#lock.acquire(LOCK_TIMEOUT_MS))) throw await this.#busy();
        this.#heldSince = performance.now();
      }
      // Each time: a decided change that is not finished must not be mixed with the next one.
      await this.#recover();
    } catch (error) {
      this.#turn.refuseAll(() => toFileError(error) as Error);
      throw error;
    }
  }

  /** Keeps the lock for a while if other calls of this process wait for it. */
  async #releaseLock(): Promise<void> {
    const since = this.#heldSince;
    if (since === undefined || (this.#turn.waitingCount > 0 && performance.now() - since < HOLD_MS)) return;
    this.#heldSince = undefined;
    // The outcome of the work counts; the lock tries its release again.
    await this.#lock.release().catch((error: Error) => process.emitWarning(`${error.message}. It is tried again`));
  }

  /** Finishes a change that any process has decided and not finished. */
  async #recover(): Promise<void> {
    if (lstat(this.at(JOURNAL)) !== undefined) {
      const journal = parseJournal(readTextSync(this.at(JOURNAL)));
      if (journal !== undefined) await this.#finish(journal);
      else {
        // A journal of ours appears whole, so this is another file: it is put aside, and the index is rebuilt.
        renameSync(this.at(JOURNAL), this.at(`${JOURNAL}.damaged-${Date.now()}`));
        this.#dropIndex();
      }
    }
    this.#isUnfinished = false;
  }

  /** Idempotent, so a second attempt continues the first. */
  async #finish(journal: Journal, progress = { hasBegun: false }): Promise<void> {
    const { keeps, moves, removes, indexLines, isClear } = journal;
    if (isClear === true) {
      progress.hasBegun = true;
      await this.#empty(indexLines);
      rmSync(this.at(JOURNAL), { force: true });
      return;
    }
    const folders = new Set<string>();
    const touch = (path: string) => {
      const folder = dirname(this.at(path));
      if (!folders.has(folder)) for (const parent of makeFolder(folder)) folders.add(parent);
      folders.add(folder);
    };
    // Links come first and must be on the disk before their files are replaced. `#decide` has made them already, except
    // for journals of earlier versions and for folders that another program has removed.
    const linked = new Set<string>();
    for (const { from, to } of keeps) {
      touch(to);
      if (lstat(this.at(to)) !== undefined || lstat(this.at(from)) === undefined) continue;
      linkSync(this.at(from), this.at(to));
      for (const folder of folders) linked.add(folder);
    }
    await syncFolders(linked);
    for (const { from, to } of moves) {
      touch(to);
      if (lstat(this.at(from)) === undefined) continue;
      this.#putAside(journal, to);
      renameSync(this.at(from), this.at(to));
      progress.hasBegun = true;
    }
    for (const path of removes) {
      touch(path);
      this.#putAside(journal, path);
      rmSync(this.at(path), { force: true });
      progress.hasBegun = true;
    }
    progress.hasBegun = true;
    await Promise.all([syncFolders(folders), this.extendIndex(indexLines)]);
    rmSync(this.at(JOURNAL), { force: true });
  }

  /** Keeps a file that another program has changed since the change was planned, under another name next to it. */
  #putAside({ found, aside }: Journal, path: string): void {
    const expected = found?.[path];
    if (expected === undefined || aside === undefined) return;
    const stats = lstat(this.at(path));
    if (stats?.isFile() !== true || isStamp(expected ?? undefined, stats)) return;
    const to = this.at(asideName(path, aside));
    if (lstat(to) === undefined) linkSync(this.at(path), to);
  }

  /** Appends lines to the index; only under the lock. The next reader rebuilds a missing index. */
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
    await syncFolders(FOLDERS.map((folder) => this.at(folder)));
    await this.write(INDEX, indexLines);
  }

  /** The next reader rebuilds a missing index, but would trust one that lacks a line. */
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

function makeFolderTree(path: string): string[] {
  if (lstat(path)?.isSymbolicLink() !== true) return makeFolder(path);
  // The root itself may be a link: the caller chooses its place.
  readdirSync(path);
  return [];
}

/** A file that cannot be removed does no harm; the next opening of the stories removes it. */
function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // See above. The caller needs the first error.
  }
}

/** Syncs a change that has taken effect. If all attempts fail, its outcome is unknown. */
async function persist(work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === ATTEMPTS) throw toUnknownOutcome(error);
      await sleep(PAUSE_MS * 2 ** attempt);
    }
  }
}
