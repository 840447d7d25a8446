import { line } from "./index-file.js";
import { toFileName } from "./names.js";
import { type IndexEntry, type StoryRecord, serializeRecord, toEntry } from "./record.js";
import type { RootChange } from "./root.js";

/** What a story is to become; the text where it changes. */
export interface Next extends Omit<IndexEntry, "sequence" | "isDeleted"> {
  readonly text: string | undefined;
}

/** Changes of stories that are to happen together. */
export class StoryChange {
  readonly #recordOf: (key: string) => StoryRecord | undefined;
  readonly #historyLimit: number;
  readonly #records = new Map<string, StoryRecord>();
  /** Texts by the file that gets them. */
  readonly #texts = new Map<string, string>();
  readonly #keeps: { from: string; to: string }[] = [];
  readonly #removes = new Set<string>();
  #sequence: number;

  constructor(recordOf: (key: string) => StoryRecord | undefined, sequence: number, historyLimit: number) {
    this.#recordOf = recordOf;
    this.#sequence = sequence;
    this.#historyLimit = historyLimit;
  }

  get isEmpty(): boolean {
    return this.#records.size === 0;
  }

  /** What is known of a story, changes of this very one included; deleted ones too. */
  known(key: string): StoryRecord | undefined {
    return this.#records.get(key) ?? this.#recordOf(key);
  }

  put(known: StoryRecord | undefined, { text, ...next }: Next): StoryRecord {
    const name = toFileName(next.id);
    if (known?.isDeleted === false) this.#keep(known, name);
    if (text !== undefined) this.#texts.set(`stories/${name}.json`, text);
    this.#removes.delete(`stories/${name}.json`);
    const { revision, size, updatedAt, sum } = next;
    const all = [{ revision, size, createdAt: updatedAt, sum }, ...(known?.history ?? [])];
    const history = all.slice(0, this.#historyLimit);
    for (const past of all.slice(this.#historyLimit)) this.#dropRevision(name, past.revision);
    return this.#note({ ...next, sequence: ++this.#sequence, isDeleted: false, history });
  }

  remove(known: StoryRecord, now: number): void {
    const name = toFileName(known.id);
    this.#keep(known, name);
    this.#removes.add(`stories/${name}.json`);
    this.#note({ ...known, updatedAt: now, sequence: ++this.#sequence, isDeleted: true });
  }

  toRootChange(): RootChange {
    const records = [...this.#records.values()];
    const metadata = records.map((record) => ({
      path: `metadata/${toFileName(record.id)}.meta.json`,
      text: serializeRecord(record),
    }));
    const stories = [...this.#texts].map(([path, text]) => ({ path, text }));
    const indexLines = records.map((record) => line(toEntry(record))).join("");
    return { writes: [...stories, ...metadata], keeps: this.#keeps, removes: [...this.#removes], indexLines };
  }

  /** The present file of a story becomes that of its revision too. */
  #keep(known: StoryRecord, name: string): void {
    const from = `stories/${name}.json`;
    const to = `revisions/${name}/${known.revision}.json`;
    const text = this.#texts.get(from);
    // A text of this very change is in no file yet.
    if (text === undefined) this.#keeps.push({ from, to });
    else this.#texts.set(to, text);
  }

  #dropRevision(name: string, revision: number): void {
    const path = `revisions/${name}/${revision}.json`;
    const kept = this.#keeps.findIndex(({ to }) => to === path);
    if (kept >= 0) this.#keeps.splice(kept, 1);
    this.#texts.delete(path);
    this.#removes.add(path);
  }

  #note(record: StoryRecord): StoryRecord {
    this.#records.set(record.id, record);
    return record;
  }
}
