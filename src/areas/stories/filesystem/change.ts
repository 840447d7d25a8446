import type { NextStory } from "../text-backend.js";
import type { FileStamp } from "./files.js";
import { line } from "./index-file.js";
import { toFileName } from "./names.js";
import { type StoryRecord, serializeRecord, toEntry } from "./record.js";
import type { RootChange } from "./root.js";

export interface Next extends NextStory {
  /** Another program has already written the text into the story's file. */
  readonly source?: "outside" | undefined;
}

/** Where to find the current text of a story when it becomes a past one; undefined if it is lost. */
export type TextPlace = "copy" | "story" | undefined;

/** The part of the folder that a change reads. */
export interface ChangeContext {
  /** The record of a story, deleted or not. */
  readonly recordOf: (name: string) => StoryRecord | undefined;
  readonly placeOf: (name: string, known: StoryRecord) => TextPlace;
  /** The state of the file of a story when it was last checked; undefined if there was none. */
  readonly stampOf: (name: string) => FileStamp | undefined;
  readonly sequence: number;
  readonly historyLimit: number;
}

/** Changes of stories that happen together. */
export class StoryChange {
  readonly #context: ChangeContext;
  readonly #records = new Map<string, StoryRecord>();
  /** The new texts by file. */
  readonly #texts = new Map<string, string>();
  readonly #keeps: { from: string; to: string }[] = [];
  readonly #removes = new Set<string>();
  #sequence: number;

  constructor(context: ChangeContext) {
    this.#context = context;
    this.#sequence = context.sequence;
  }

  get isEmpty(): boolean {
    return this.#records.size === 0;
  }

  /** The record of a story, deleted or not, after the changes so far. */
  known(key: string): StoryRecord | undefined {
    return this.named(toFileName(key));
  }

  named(name: string): StoryRecord | undefined {
    return this.#records.get(name) ?? this.#context.recordOf(name);
  }

  put(
    known: StoryRecord | undefined,
    { text, source, ...given }: Next,
    place?: { readonly of: TextPlace },
  ): StoryRecord {
    // The clock may have been set back.
    const next = { ...given, updatedAt: Math.max(given.createdAt, given.updatedAt) };
    const name = toFileName(next.id);
    const past = known === undefined ? [] : this.#past(known, name, place);
    if (text !== undefined) {
      // A copy and not a link, because a program that writes into the story's file must not change it.
      this.#texts.set(copyPath(name), text);
      if (source === undefined) this.#texts.set(storyPath(name), text);
    }
    this.#removes.delete(storyPath(name));
    const { revision, size, updatedAt, sum } = next;
    const present = { revision, size, createdAt: updatedAt, sum, ...(source === undefined ? {} : { source }) };
    const all = [present, ...past];
    const history = all.slice(0, this.#context.historyLimit);
    for (const { revision: old } of all.slice(this.#context.historyLimit)) this.#dropRevision(name, old);
    const isCopied = text !== undefined || known?.isCopied === true;
    return this.#note({ ...next, sequence: ++this.#sequence, isDeleted: false, isCopied, history });
  }

  remove(known: StoryRecord, now: number): void {
    const name = toFileName(known.id);
    const history = this.#past(known, name);
    this.#removes.add(storyPath(name));
    this.#removes.add(copyPath(name));
    this.#note({
      ...known,
      updatedAt: Math.max(known.createdAt, now),
      sequence: ++this.#sequence,
      isDeleted: true,
      isCopied: false,
      history,
    });
  }

  /** Updates the index from the record; files of stories stay as they are. */
  renew(record: StoryRecord): void {
    this.#note({ ...record, sequence: ++this.#sequence });
  }

  /** Keeps a file that is in a story's place and is not a story, under another name next to it. */
  setAside(name: string, as: string): void {
    if (!this.#texts.has(storyPath(name))) this.#keeps.push({ from: storyPath(name), to: `stories/${as}` });
  }

  toRootChange(): RootChange {
    const records = [...this.#records.values()];
    const metadata = records.map((record) => ({
      path: `metadata/${toFileName(record.id)}.meta.json`,
      text: serializeRecord(record),
    }));
    const texts = [...this.#texts].map(([path, text]) => ({ path, text }));
    const replaced = [...this.#texts.keys(), ...this.#removes].filter((path) => path.startsWith("stories/"));
    return {
      writes: [...texts, ...metadata],
      keeps: this.#keeps,
      removes: [...this.#removes],
      found: Object.fromEntries(replaced.map((path) => [path, this.#context.stampOf(nameOf(path)) ?? null])),
      indexLines: (written) => records.map((record) => this.#lineOf(record, written)).join(""),
    };
  }

  #lineOf(record: StoryRecord, written: ReadonlyMap<string, FileStamp>): string {
    const name = toFileName(record.id);
    return line({ ...toEntry(record), file: written.get(storyPath(name)) ?? this.#context.stampOf(name) });
  }

  /** The history of a story; its current text becomes a past one and gets its own file. */
  #past(known: StoryRecord, name: string, place = { of: this.#context.placeOf(name, known) }): StoryRecord["history"] {
    if (known.isDeleted || known.isRebuilt === true) return known.history;
    const to = revisionPath(name, known.revision);
    const text = this.#texts.get(copyPath(name));
    // A text of this change is not in a file yet.
    if (text !== undefined) this.#texts.set(to, text);
    else if (place.of === "copy") this.#keeps.push({ from: copyPath(name), to });
    else if (place.of === "story") this.#keeps.push({ from: storyPath(name), to });
    else return known.history.filter(({ revision }) => revision !== known.revision);
    return known.history;
  }

  #dropRevision(name: string, revision: number): void {
    const path = revisionPath(name, revision);
    const kept = this.#keeps.findIndex(({ to }) => to === path);
    if (kept >= 0) this.#keeps.splice(kept, 1);
    this.#texts.delete(path);
    this.#removes.add(path);
  }

  #note(record: StoryRecord): StoryRecord {
    this.#records.set(toFileName(record.id), record);
    return record;
  }
}

function storyPath(name: string): string {
  return `stories/${name}.json`;
}

/** The copy of the current text as it was saved, independent of the story's file. */
export function copyPath(name: string): string {
  return `metadata/${name}.text.json`;
}

function nameOf(path: string): string {
  return path.slice("stories/".length, -".json".length);
}

function revisionPath(name: string, revision: number): string {
  return `revisions/${name}/${revision}.json`;
}
