import { randomUUID } from "node:crypto";
import { lstatSync } from "node:fs";
import { hashText } from "../../checksum.js";
import { type FileStamp, readTail } from "./files.js";
import { toFileName } from "./names.js";
import type { IndexEntry } from "./record.js";

/** The entry of a story, with the state of its file when it was written. */
export interface IndexedEntry extends IndexEntry {
  readonly file?: FileStamp | undefined;
}

/** The file is rewritten when it has this many lines more than twice the number of stories. */
const SPARE_LINES = 1_000;
const SUM_CHARS = 8;

/**
 * The index of a folder of stories: it has one line for each change, and the last line of a story counts.
 *
 * The cost of an append does not depend on the number of stories. Each line is `[checksum, entry]`.
 */
export class StoryIndex {
  readonly #path: string;
  /** By file name. */
  #entries = new Map<string, IndexedEntry>();
  #sorted: readonly IndexEntry[] | undefined;
  #identity = "";
  /** The first line, which differs in a rebuilt file even if the inode is the same. */
  #head = "";
  #size = 0;
  #lineCount = 0;
  #sequence = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** The number of the last change. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Whether most lines are out of date. */
  get isLong(): boolean {
    return this.#lineCount > SPARE_LINES + 2 * this.#entries.size;
  }

  get(id: string): IndexedEntry | undefined {
    return this.#entries.get(toFileName(id));
  }

  /** The entry of the story with this file name. */
  named(name: string): IndexedEntry | undefined {
    return this.#entries.get(name);
  }

  names(): Iterable<string> {
    return this.#entries.keys();
  }

  /** The most recently updated first. */
  sorted(): readonly IndexEntry[] {
    this.#sorted ??= [...this.#entries.values()].sort((a, b) => b.updatedAt - a.updatedAt || b.sequence - a.sequence);
    return this.#sorted;
  }

  /** Reads the lines that any process has added. False if the file is missing or damaged. */
  refresh(): boolean {
    // `bigint` for the inode and for nanoseconds.
    const stats = lstatSync(this.#path, { bigint: true, throwIfNoEntry: false });
    if (stats?.isFile() !== true) return false;
    const identity = `${stats.ino}:${stats.size}:${stats.mtimeNs}`;
    if (identity === this.#identity) return true;
    let tail = readTail(this.#path, this.#size, this.#head.length);
    const isSame = tail !== undefined && this.#head !== "" && tail.head === this.#head && tail.size >= this.#size;
    if (!isSame) {
      this.#forget();
      tail = readTail(this.#path, 0, 0);
    }
    this.#identity = "";
    if (tail === undefined || !this.#add(tail.text)) {
      this.#forget();
      return false;
    }
    if (!isSame) this.#head = tail.text.slice(0, tail.text.indexOf("\n") + 1);
    this.#size = tail.size;
    // If the file has grown since, the next refresh reads the rest.
    if (BigInt(tail.size) === stats.size) this.#identity = identity;
    return true;
  }

  /** The text of a new file with the same entries. */
  serialize(entries: Iterable<IndexEntry> = this.#entries.values(), sequence = this.#sequence): string {
    return line({ sequence, made: randomUUID() }) + [...entries].map(line).join("");
  }

  #forget(): void {
    this.#entries = new Map();
    this.#sorted = undefined;
    this.#lineCount = 0;
    this.#head = "";
    this.#size = 0;
  }

  #add(text: string): boolean {
    if (text === "") return this.#lineCount > 0;
    if (!text.endsWith("\n")) return false;
    for (const one of text.slice(0, -1).split("\n")) {
      const entry = parseLine(one);
      if (entry === undefined) return false;
      this.#lineCount++;
      this.#sequence = Math.max(this.#sequence, entry.sequence);
      if (entry.id === undefined) continue;
      const name = toFileName(entry.id);
      if (entry.isDeleted) this.#entries.delete(name);
      else this.#entries.set(name, entry as IndexedEntry);
    }
    this.#sorted = undefined;
    return true;
  }
}

/** A line of the index; a line without an id only contains the count of changes. */
export function line(entry: IndexedEntry | { readonly sequence: number; readonly made: string }): string {
  const json = JSON.stringify(entry);
  return `["${hashText(json).slice(0, SUM_CHARS)}",${json}]\n`;
}

function parseLine(text: string): (Partial<IndexEntry> & { sequence: number }) | undefined {
  const json = text.slice(SUM_CHARS + 4, -1);
  if (text.slice(2, SUM_CHARS + 2) !== hashText(json).slice(0, SUM_CHARS)) return undefined;
  return JSON.parse(json) as IndexEntry;
}
