import type { Stats } from "node:fs";
import { StorageError } from "../../../shared/errors.js";
import { hashText } from "../../checksum.js";
import { titleAfter, titleIn } from "../story.js";
import { copyPath, type Next, type StoryChange, type TextPlace } from "./change.js";
import { asideName, parseConflictName, type StoryConflictFile } from "./conflict-files.js";
import { type FileStamp, isStamp, lstat, namesIn, readText, stampOf } from "./files.js";
import type { IndexedEntry, StoryIndex } from "./index-file.js";
import { fromFileName, toFileName } from "./names.js";
import { idOf } from "./rebuild.js";
import type { StoryRecord } from "./record.js";
import type { StoryRoot } from "./root.js";
import { parseStory } from "./story-text.js";

/**
 * File times may be this coarse (FAT), so a second change may leave no trace. A file with a more recent time is read
 * instead.
 */
const RECENT_MS = 2_000;
const STORY = ".json";
/** No saved story is larger, and no string. */
const MAX_BYTES = 500_000_000;

/** Files to check before the event loop gets its turn. */
const FILES_AT_ONCE = 250;

/** The state of a file when its text was read. */
interface Seen {
  readonly stamp: FileStamp;
  readonly ctimeMs: number;
  readonly sum: string;
}

/** A file that cannot be taken in, and its state. */
interface Problem {
  readonly stamp: FileStamp | undefined;
  readonly error: StorageError;
  isReported: boolean;
}

/** The story is as in the index, or must be checked under the lock, or cannot be taken in. */
export type Standing = "known" | "suspect" | StorageError;

/** Reports a problem to the listeners; false if there are none. */
export type ReportProblem = (key: string | undefined, error: StorageError) => boolean;

/**
 * Changes that other programs make to the files of stories: editors, sync services, version control.
 *
 * They do not use the lock. So each file is compared with its entry in the index, and a different text becomes a
 * separate revision before anything else happens to the story.
 */
export class OutsideChanges {
  readonly #root: StoryRoot;
  readonly #index: StoryIndex;
  readonly #report: ReportProblem;
  /** By file name, like everything here. */
  readonly #seen = new Map<string, Seen>();
  readonly #problems = new Map<string, Problem>();
  /** The last problem of each story that could not be stored, so that it is reported once. */
  readonly #postponed = new Map<string, Problem>();

  constructor(root: StoryRoot, index: StoryIndex, report: ReportProblem) {
    this.#root = root;
    this.#index = index;
    this.#report = report;
  }

  /** Compares one story with its file. Reads the file unless it is certainly unchanged since the last read. */
  async look(name: string): Promise<Standing> {
    const entry = this.#index.named(name);
    const stats = lstat(this.#path(name));
    if (stats === undefined && entry === undefined) return "known";
    const problem = this.#problemOf(name, stats);
    if (problem !== undefined && !isRecent(stats)) return problem.error;
    if (stats?.isFile() !== true || entry === undefined) return "suspect";
    const seen = this.#seen.get(name);
    if (seen?.sum === entry.sum && isSeen(seen, stats) && !isRecent(stats)) return "known";
    const text = await readText(this.#path(name));
    if (text === undefined || hashText(text) !== entry.sum) return "suspect";
    this.#note(name, stats, entry.sum);
    return "known";
  }

  /**
   * The files that may have changed, found by a scan of the folder. A change that keeps inode, size and time is found when
   * the story is loaded or saved.
   */
  async scan(): Promise<{ suspects: string[]; touched: string[] }> {
    const suspects: string[] = [];
    const touched: string[] = [];
    const present = new Set<string>();
    for (const [index, file] of namesIn(this.#root.at("stories")).entries()) {
      if (index % FILES_AT_ONCE === FILES_AT_ONCE - 1) await new Promise(setImmediate);
      const name = file.endsWith(STORY) ? file.slice(0, -STORY.length) : undefined;
      if (name === undefined) continue;
      present.add(name);
      const entry = this.#index.named(name);
      const stats = lstat(this.#path(name));
      if (stats === undefined || (entry !== undefined && this.#looksKnown(name, entry, stats))) continue;
      if (entry === undefined && this.#conflictOf(file) !== undefined) continue;
      const standing = await this.look(name);
      if (standing === "known") touched.push(name);
      if (standing === "suspect") suspects.push(name);
      if (standing instanceof StorageError) this.tell(name);
    }
    for (const name of this.#index.names()) {
      if (present.has(name)) continue;
      const standing = await this.look(name);
      if (standing === "suspect") suspects.push(name);
      if (standing instanceof StorageError) this.tell(name);
    }
    for (const name of this.#seen.keys()) if (!present.has(name)) this.#seen.delete(name);
    return { suspects, touched };
  }

  /**
   * Takes a changed file into `change` as a revision; only under the lock. It always reads the file. A file that is not a
   * story stays as it is and becomes a problem.
   */
  async takeIn(change: StoryChange, name: string, now: number): Promise<void> {
    const path = this.#path(name);
    const stats = lstat(path);
    const record = change.named(name);
    const live = record?.isDeleted === false ? record : undefined;
    if (stats !== undefined && stats.size > MAX_BYTES)
      return this.#refuse(name, stats, `is too large to be a story. ${NEXT_STEP}`);
    const text = stats?.isFile() === true ? await readText(path) : undefined;
    if (stats === undefined || text === undefined) {
      this.#seen.delete(name);
      if (stats !== undefined) return this.#refuse(name, stats, stats.isFile() ? NOT_UTF8 : "is not a file: remove it");
      if (live !== undefined) return this.#refuse(name, stats, MISSING);
      this.#problems.delete(name);
      // Another version of this library or another machine has deleted it.
      if (record !== undefined && this.#index.named(name) !== undefined) change.renew(record);
      return;
    }
    const sum = hashText(text);
    if (live?.sum === sum) {
      this.#accept(name, stats, sum);
      const entry = this.#index.named(name);
      if (entry?.revision !== live.revision || entry.sum !== sum) change.renew(live);
      return;
    }
    const data = parseStory(text);
    if (typeof data === "string") return this.#refuse(name, stats, `is not a story: ${data}. ${NEXT_STEP}`);
    const id = record?.id ?? idOf(name, data);
    if (id === undefined) return this.#refuse(name, stats, nameAdvice(name));
    // A deleted story that is back with the same text is the same story; with another text it is a new one.
    const kept = live ?? (record?.sum === sum ? record : undefined);
    const mtime = Math.trunc(stats.mtimeMs);
    const updatedAt = Math.max(record?.updatedAt ?? 0, Math.min(mtime, now));
    const next: Next = {
      id,
      ...titleAfter({ ownTitle: undefined, dataTitle: titleIn(data) }, kept),
      tags: kept?.tags ?? [],
      size: Buffer.byteLength(text),
      revision: (record?.revision ?? 0) + 1,
      createdAt: kept?.createdAt ?? updatedAt,
      updatedAt,
      sum,
      text,
      source: "outside",
    };
    const copy = record?.isCopied === true ? await readText(this.#root.at(copyPath(name))) : undefined;
    change.put(record, next, { of: copy !== undefined && hashText(copy) === record?.sum ? "copy" : undefined });
    this.#accept(name, stats, sum);
  }

  /** Reports why a changed file could not be stored as a revision. The next check tries again. */
  postpone(name: string, error: StorageError): void {
    const last = this.#postponed.get(name);
    const problem = last?.error.message === error.message ? last : { stamp: undefined, error, isReported: false };
    this.#postponed.set(name, problem);
    this.#problems.set(name, problem);
  }

  /** Where the current text of a story is, as far as this is known without reading it. */
  placeOf(name: string, { isCopied, size, sum }: StoryRecord): TextPlace {
    if (isCopied === true && lstat(this.#root.at(copyPath(name)))?.size === size) return "copy";
    return this.#seen.get(name)?.sum === sum ? "story" : undefined;
  }

  /** Call this before a story is replaced or removed: it keeps a file in its place that is not a story. */
  setAside(change: StoryChange, name: string): void {
    const stats = lstat(this.#path(name));
    if (this.#problems.has(name) && stats?.isFile() === true) {
      change.setAside(name, asideName(`${name}${STORY}`, `${Date.now()}-${stats.ino % 100_000}`));
    }
  }

  /** Why the file of a story could not be taken in when it was last checked. */
  problem(name: string): StorageError | undefined {
    return this.#problems.get(name)?.error;
  }

  /** Reports a problem to the listeners, once. */
  tell(name: string): void {
    const problem = this.#problems.get(name);
    if (problem === undefined || problem.isReported) return;
    problem.isReported = this.#report(this.#index.named(name)?.id ?? fromFileName(name), problem.error);
  }

  /** The state of the file when it was last checked. */
  stampOf(name: string): FileStamp | undefined {
    return this.#seen.get(name)?.stamp ?? this.#problems.get(name)?.stamp;
  }

  conflicts(): StoryConflictFile[] {
    return namesIn(this.#root.at("stories")).flatMap((name) => {
      const parsed = this.#conflictOf(name);
      const stats = parsed === undefined ? undefined : lstat(this.#root.at("stories", name));
      const isStory = name.endsWith(STORY) && this.#index.named(name.slice(0, -STORY.length)) !== undefined;
      if (parsed === undefined || stats?.isFile() !== true || isStory) return [];
      return [{ ...parsed, path: this.#root.at("stories", name), name, size: stats.size, modifiedAt: stats.mtime }];
    });
  }

  #conflictOf(file: string) {
    return parseConflictName(file, (base) => this.#index.named(base) !== undefined);
  }

  #looksKnown(name: string, entry: IndexedEntry, stats: Stats): boolean {
    if (!stats.isFile()) return false;
    const seen = this.#seen.get(name);
    return isStamp(entry.file, stats) || (seen?.sum === entry.sum && isSeen(seen, stats));
  }

  #problemOf(name: string, stats: Stats | undefined): Problem | undefined {
    const problem = this.#problems.get(name);
    if (problem === undefined) return undefined;
    const isSame = stats === undefined ? problem.stamp === undefined : isStamp(problem.stamp, stats);
    return isSame ? problem : undefined;
  }

  #note(name: string, stats: Stats, sum: string): void {
    this.#seen.set(name, { stamp: stampOf(stats), ctimeMs: stats.ctimeMs, sum });
  }

  #accept(name: string, stats: Stats, sum: string): void {
    this.#problems.delete(name);
    this.#note(name, stats, sum);
  }

  #refuse(name: string, stats: Stats | undefined, reason: string): void {
    this.#seen.delete(name);
    if (this.#problemOf(name, stats) !== undefined) return;
    const error = new StorageError("CORRUPT", `${this.#path(name)} ${reason}`);
    this.#problems.set(name, { stamp: stats === undefined ? undefined : stampOf(stats), error, isReported: false });
  }

  #path(name: string): string {
    return this.#root.at("stories", `${name}${STORY}`);
  }
}

const NEXT_STEP = "It was left as it is: correct it, move it away, or revert the story to a revision";
const NOT_UTF8 = `is not a story: it is not UTF-8. ${NEXT_STEP}`;
const MISSING = "is gone, and may have been removed by accident: delete the story, or revert it to a revision";

function nameAdvice(name: string): string {
  return `does not have the name of a story: rename it to ${toFileName(name)}${STORY} to have it taken in`;
}

function isSeen({ stamp, ctimeMs }: Seen, stats: Stats): boolean {
  return isStamp(stamp, stats) && ctimeMs === stats.ctimeMs;
}

function isRecent(stats: Stats | undefined): boolean {
  return stats !== undefined && Date.now() - Math.max(stats.mtimeMs, stats.ctimeMs) < RECENT_MS;
}
