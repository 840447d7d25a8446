import { absolutePath } from "../../../files/absolute-path.js";
import { StorageError } from "../../../shared/errors.js";
import { DEFAULT_PROJECT, expectId } from "../../arguments.js";
import { hashText } from "../../checksum.js";
import { RevisionConflictError } from "../errors.js";
import type { ProblemListener, SavedStory, TextStore } from "../store.js";
import {
  type LoadedStory,
  type Preference,
  type StoryFilter,
  type StoryMetadata,
  type StoryRevision,
  type SyncEntry,
  toFilter,
} from "../story.js";
import type { NextStory, StoryEdit } from "../text-backend.js";
import { copyPath, StoryChange } from "./change.js";
import type { StoryConflictFile } from "./conflict-files.js";
import { FilesystemExtras } from "./extras.js";
import { assertFolder, isObstacle, lstat, readText, toFileError } from "./files.js";
import { FolderMap } from "./folder-map.js";
import { line, StoryIndex } from "./index-file.js";
import { toFileName } from "./names.js";
import { OutsideChanges } from "./outside.js";
import { readEntries, readRecord } from "./rebuild.js";
import { type IndexEntry, type StoryRecord, toMetadata } from "./record.js";
import { INDEX, OLD_INDEX, StoryRoot } from "./root.js";

/** Attempts to read a story that another program keeps changing. */
const MAX_READS = 10;
interface Opened {
  readonly root: StoryRoot;
  readonly index: StoryIndex;
  readonly outside: OutsideChanges;
  readonly preferences: FolderMap<Preference>;
  readonly queue: FolderMap<SyncEntry>;
}

/**
 * Stories as files that people can read, in a folder that several processes may share.
 *
 * `stories/<id>.json`, `metadata/<id>.meta.json`, `revisions/<id>/<n>.json`, `.index.jsonl`; ids are encoded as file
 * names. Each project other than "default" has a folder in `projects/`.
 */
export class FilesystemBackend extends FilesystemExtras implements TextStore {
  readonly #listeners = new Set<ProblemListener>();
  #opened: Opened | undefined;

  get current(): FilesystemBackend {
    return this;
  }

  onProblem(listener: ProblemListener): void {
    this.#listeners.add(listener);
  }

  async initialize(): Promise<void> {
    if (this.#opened !== undefined) return;
    const { root: path, project } = this.options;
    const folder =
      project === DEFAULT_PROJECT ? absolutePath(path) : absolutePath(path, "projects", toFileName(project));
    const root = await StoryRoot.open(folder);
    const preferences = new FolderMap<Preference>(root, "preferences");
    const queue = new FolderMap<SyncEntry>(root, "queue");
    const index = new StoryIndex(root.at(INDEX));
    const outside = new OutsideChanges(root, index, (key, error) => this.#report(key, error));
    this.#opened = { root, index, outside, preferences, queue };
    await this.guarded(() => this.#refreshed());
  }

  /** Waits for all calls that have begun. */
  async close(): Promise<void> {
    await this.#opened?.root.idle();
    this.#opened = undefined;
  }

  async loadText(key: string): Promise<LoadedStory | undefined> {
    expectId(key);
    const name = toFileName(key);
    return this.guarded(async () => {
      for (let attempt = 1; ; attempt++) {
        const entry = (await this.#refreshed()).get(key);
        assertFolder(this.opened.root.at("stories"));
        if (entry === undefined && lstat(this.#storyFile(key)) === undefined) return undefined;
        const text = entry === undefined ? undefined : await readText(this.#storyFile(key));
        if (entry !== undefined && text !== undefined && hashText(text) === entry.sum) {
          return { text, revision: entry.revision, version: versionOf(entry) };
        }
        // Another program has changed it, or a change of this library is in progress. Under the lock, it is finished.
        await this.#settle([name]);
        const settled = (await this.#refreshed()).get(key);
        const problem = this.opened.outside.problem(name);
        if (problem !== undefined) {
          if (settled !== undefined) throw problem;
          this.opened.outside.tell(name);
          return undefined;
        }
        if (attempt === MAX_READS) {
          throw new StorageError("BUSY", `${this.#storyFile(key)} keeps changing while it is read: try later`, {
            retryable: true,
          });
        }
      }
    });
  }

  async version(key: string): Promise<string | undefined> {
    expectId(key);
    return this.guarded(async () => {
      const entry = await this.#current(key);
      if (entry === undefined) return undefined;
      // A story that cannot be read must not be mistaken for the cached one.
      return this.opened.outside.problem(toFileName(key)) === undefined
        ? versionOf(entry)
        : `${versionOf(entry)}:changed`;
    });
  }

  delete(key: string): Promise<boolean> {
    expectId(key);
    return this.#changed([key], async (change) => {
      const known = change.known(key);
      if (known === undefined || known.isDeleted) return false;
      this.opened.outside.setAside(change, toFileName(key));
      change.remove(known, this.now());
      return true;
    });
  }

  async list(filter?: StoryFilter): Promise<StoryMetadata[]> {
    const { tags, limit, offset } = toFilter(filter);
    return this.guarded(async () => {
      const wanted = new Set(tags);
      const all = (await this.#scanned()).sorted();
      const matching = wanted.size === 0 ? all : all.filter((entry) => entry.tags.some((tag) => wanted.has(tag)));
      return matching.slice(offset, offset + limit).map(toMetadata);
    });
  }

  async getMetadata(key: string): Promise<StoryMetadata | undefined> {
    expectId(key);
    return this.guarded(async () => {
      const entry = await this.#current(key);
      return entry === undefined ? undefined : toMetadata(entry);
    });
  }

  async getStorageUsage(): Promise<number> {
    return this.guarded(async () => {
      let bytes = 0;
      for (const { size } of (await this.#scanned()).sorted()) bytes += size;
      return bytes;
    });
  }

  async clear(): Promise<void> {
    await this.guarded(() =>
      this.opened.root.locked(async () => {
        const index = await this.#refreshed(true);
        // The count continues, so that a new change is never mistaken for an old one.
        await this.opened.root.clear(index.serialize([], index.sequence + 1));
      }),
    );
  }

  async revisions(key: string): Promise<StoryRevision[]> {
    expectId(key);
    return this.guarded(async () => {
      await this.#current(key);
      const history = this.#record(key)?.history ?? [];
      return history.map(({ revision, size, createdAt, source }) => {
        const from = source === undefined ? {} : { source };
        return { revision, size, createdAt: new Date(createdAt), ...from };
      });
    });
  }

  async loadRevisionText(key: string, revision: number): Promise<string | undefined> {
    expectId(key);
    return this.guarded(async () => {
      await this.#current(key);
      const read = async () => {
        const record = this.#record(key);
        const sum = record?.history.find((one) => one.revision === revision)?.sum;
        if (record === undefined || sum === undefined) return undefined;
        return { text: await this.#readRevision(record, revision), sum };
      };
      let found = await read();
      if (found !== undefined && !isWhole(found)) found = await this.opened.root.locked(read);
      if (found === undefined || isWhole(found)) return found?.text;
      throw revisionDiffers(key, revision);
    });
  }

  async restoreLast(key: string): Promise<SavedStory | undefined> {
    expectId(key);
    return this.#changed([key], async (change) => {
      const known = change.known(key);
      if (known === undefined) return undefined;
      if (!known.isDeleted) throw new RevisionConflictError(key, 0, known.revision);
      const text = await this.#readRevision(known, known.revision);
      if (text === undefined) return undefined;
      if (!isWhole({ text, sum: known.sum })) throw revisionDiffers(key, known.revision);
      return this.#put(change, known, { ...this.next(key, known), text });
    });
  }

  async conflicts(): Promise<StoryConflictFile[]> {
    return this.guarded(async () => {
      await this.#refreshed();
      return this.opened.outside.conflicts();
    });
  }

  /** The current index; rebuilt from the files if it is missing or damaged, or after an earlier version was here. */
  async #refreshed(isLocked = false): Promise<StoryIndex> {
    const { index, root } = this.opened;
    if (!isLocked) await root.settle();
    const hasOldIndex = () => lstat(root.at(OLD_INDEX))?.isDirectory() === false;
    if (index.refresh() && !hasOldIndex()) return index;
    const rebuild = async () => {
      if (index.refresh() && !hasOldIndex()) return;
      // An earlier version only knows its own index. Its changes are in the metadata.
      const old = new StoryIndex(root.at(OLD_INDEX));
      old.refresh();
      const entries = readEntries(root);
      const sequence = Math.max(index.sequence, old.sequence, ...entries.map((entry) => entry.sequence));
      await root.write(INDEX, index.serialize(entries, sequence));
      await root.remove(OLD_INDEX);
      if (!index.refresh()) throw new StorageError("IO", `${root.at(INDEX)} cannot be read back`);
    };
    await (isLocked ? rebuild() : root.locked(rebuild));
    return index;
  }

  /** The entry of a story, after taking in a change by another program. */
  async #current(key: string): Promise<IndexEntry | undefined> {
    const index = await this.#refreshed();
    const name = toFileName(key);
    assertFolder(this.opened.root.at("stories"));
    if ((await this.opened.outside.look(name)) === "suspect") await this.#settle([name]);
    return index.get(key);
  }

  /** The index, with all changes by other programs that a scan of the folder finds. */
  async #scanned(): Promise<StoryIndex> {
    const index = await this.#refreshed();
    const { outside, root } = this.opened;
    const { suspects, touched } = await outside.scan();
    if (suspects.length > 0) await this.#settleEach(suspects);
    for (const name of suspects) outside.tell(name);
    // Files that were copied or checked out have new times. Once the index has these, no process reads the files again.
    if (touched.length > 0) {
      await root.locked(async () => {
        await this.#refreshed(true);
        const entries = touched.flatMap((name) => index.named(name) ?? []);
        const lines = entries.map((entry) => line({ ...entry, file: outside.stampOf(toFileName(entry.id)) }));
        await root.extendIndex(lines.join(""));
      });
      await this.#refreshed();
    }
    return index;
  }

  /** Takes in the changes of other programs to these files. */
  async #settle(names: readonly string[]): Promise<void> {
    await this.opened.root.locked(() => this.#takeIn(names));
  }

  /** The same, for a listing: a story that cannot be changed does not keep the others from it. */
  async #settleEach(names: readonly string[]): Promise<void> {
    await this.opened.root.locked(async () => {
      try {
        await this.#takeIn(names);
      } catch (failure) {
        if (!isObstacle(failure)) throw failure;
        for (const name of names) {
          try {
            await this.#takeIn([name]);
          } catch (error) {
            if (!isObstacle(error)) throw error;
            this.opened.outside.postpone(name, toFileError(error) as StorageError);
          }
        }
      }
    });
  }

  /** The same as `#settle`; only under the lock. */
  async #takeIn(names: readonly string[]): Promise<void> {
    await this.#refreshed(true);
    const change = this.#change();
    for (const name of names) await this.opened.outside.takeIn(change, name, this.now());
    await this.#commit(change);
  }

  /** Makes all changes of `work` under the lock, or none. Takes in changes by other programs first. */
  #changed<T>(keys: readonly string[], work: (change: StoryChange) => Promise<T>): Promise<T> {
    return this.guarded(() =>
      this.opened.root.locked(async () => {
        await this.#takeIn(keys.map(toFileName));
        const change = this.#change();
        const result = await work(change);
        await this.#commit(change);
        return result;
      }),
    );
  }

  protected edit<T>(keys: readonly string[], work: (edit: StoryEdit<StoryRecord>) => Promise<T>): Promise<T> {
    return this.#changed(keys, (change) =>
      work({
        known: (key) => change.known(key),
        put: (known, next) => this.#put(change, known, next),
        assertWhole: (key) => {
          const problem = this.opened.outside.problem(toFileName(key));
          if (problem !== undefined && lstat(this.#storyFile(key)) !== undefined) throw problem;
        },
      }),
    );
  }

  #put(change: StoryChange, known: StoryRecord | undefined, next: NextStory): SavedStory {
    if (next.text !== undefined) this.opened.outside.setAside(change, toFileName(next.id));
    const record = change.put(known, next);
    return { metadata: toMetadata(record), version: versionOf(record), isNew: known?.isDeleted !== false };
  }

  #change(): StoryChange {
    const { index, outside } = this.opened;
    return new StoryChange({
      recordOf: (name) => this.#recordNamed(name),
      placeOf: (name, known) => outside.placeOf(name, known),
      stampOf: (name) => outside.stampOf(name),
      sequence: index.sequence,
      historyLimit: this.options.historyLimit,
    });
  }

  async #commit(change: StoryChange): Promise<void> {
    if (change.isEmpty) return;
    const { root, index } = this.opened;
    await root.commit(change.toRootChange());
    try {
      await this.#refreshed(true);
      if (index.isLong) await root.write(INDEX, index.serialize());
    } catch {
      // The change is stored, so the call must not reject. The next call reads or rebuilds the index.
    }
  }

  /** Returns whether any listener took the problem. */
  #report(key: string | undefined, error: unknown): boolean {
    let isHeard = false;
    for (const listener of this.#listeners) isHeard = listener("outside", key, error) || isHeard;
    return isHeard;
  }

  #record(key: string): StoryRecord | undefined {
    const record = this.#recordNamed(toFileName(key));
    return record?.id === key ? record : undefined;
  }

  #recordNamed(name: string): StoryRecord | undefined {
    const { root, index } = this.opened;
    assertFolder(root.at("metadata"));
    return readRecord(root, name, index.named(name));
  }

  /** The text of a revision. The current one comes from its copy if the story's file has another text. */
  async #readRevision(record: StoryRecord, revision: number): Promise<string | undefined> {
    const { root } = this.opened;
    const name = toFileName(record.id);
    if (revision === record.revision && !record.isDeleted) {
      const text = await readText(this.#storyFile(record.id));
      if (isWhole({ text, sum: record.sum })) return text;
      return (await readText(root.at(copyPath(name)))) ?? text;
    }
    assertFolder(root.at("revisions"));
    assertFolder(root.at("revisions", name));
    return readText(root.at("revisions", name, `${revision}.json`));
  }

  #storyFile(key: string): string {
    return this.opened.root.at("stories", `${toFileName(key)}.json`);
  }

  protected get opened(): Opened {
    if (this.#opened !== undefined) return this.#opened;
    throw new StorageError("CLOSED", "These stories are closed, or not initialized yet: open them first");
  }
}

function versionOf({ sequence, revision, sum }: IndexEntry): string {
  return `${sequence}:${revision}:${sum}`;
}

function revisionDiffers(key: string, revision: number): StorageError {
  return new StorageError(
    "CORRUPT",
    `Revision ${revision} of story ${JSON.stringify(key)} differs from what was saved; it was left as it is`,
  );
}

function isWhole({ text, sum }: { text: string | undefined; sum: string }): boolean {
  return text !== undefined && hashText(text) === sum;
}
