import { resolve } from "node:path";
import { v7 as uuidv7 } from "uuid";
import { StorageError } from "../../../shared/errors.js";
import { expectText } from "../../../shared/expectation.js";
import { expectId } from "../../arguments.js";
import { hashText } from "../../checksum.js";
import type { Repair } from "../../repair.js";
import { RevisionConflictError } from "../errors.js";
import type { SecretBox } from "../secret.js";
import { type LoadedStory, type SavedStory, type StoryCopy, TextBackend } from "../store.js";
import {
  type Preference,
  type StoryDraft,
  type StoryFilter,
  type StoryMetadata,
  type StoryMetadataInput,
  type StoryRevision,
  type SyncEntry,
  type SyncEntryInput,
  titleAfter,
  titleIn,
  toFilter,
  toMetadataPatch,
  toPreference,
  toSyncEntry,
} from "../story.js";
import { copyPath, StoryChange } from "./change.js";
import type { StoryConflictFile } from "./conflict-files.js";
import { assertFolder, lstat, readText, readTextSync, toFileError } from "./files.js";
import { FolderMap } from "./folder-map.js";
import { line, StoryIndex } from "./index-file.js";
import { toFileName } from "./names.js";
import { OutsideChanges } from "./outside.js";
import { readEntries, readRecord } from "./rebuild.js";
import { type IndexEntry, type StoryRecord, toEntry, toMetadata } from "./record.js";
import { INDEX, OLD_INDEX, StoryRoot, TOKEN } from "./root.js";

export interface FilesystemOptions {
  readonly root: string;
  readonly project: string;
  readonly historyLimit: number;
  readonly box: SecretBox;
  readonly now: () => number;
  readonly repair?: Repair | undefined;
}

/** How often a story is read again that another program changes while it is read. */
const MAX_READS = 10;
interface Opened {
  readonly root: StoryRoot;
  readonly index: StoryIndex;
  readonly outside: OutsideChanges;
  readonly preferences: FolderMap<Preference>;
  readonly queue: FolderMap<SyncEntry>;
}

const TOKEN_NAME = "GitHub token";
const DEFAULT_PROJECT = "default";

/**
 * Stories as files that people can read, in a folder that several processes may share.
 *
 * `stories/<id>.json`, `metadata/<id>.meta.json`, `revisions/<id>/<n>.json`, `.index.jsonl`; ids are encoded as file
 * names. Projects other than "default" have folders of their own below `projects/`.
 */
export class FilesystemBackend extends TextBackend {
  readonly #options: FilesystemOptions;
  #opened: Opened | undefined;

  /** @internal Use `openStories({ backend: "filesystem", path })`. */
  constructor(options: FilesystemOptions) {
    super(options.repair);
    this.#options = options;
  }

  async initialize(): Promise<void> {
    if (this.#opened !== undefined) return;
    const { root: path, project } = this.#options;
    const folder = project === DEFAULT_PROJECT ? resolve(path) : resolve(path, "projects", toFileName(project));
    const root = await StoryRoot.open(folder);
    const preferences = new FolderMap<Preference>(root, "preferences");
    const queue = new FolderMap<SyncEntry>(root, "queue");
    const index = new StoryIndex(root.at(INDEX));
    const outside = new OutsideChanges(root, index, (key, error) => this.reportProblem("outside", key, error));
    this.#opened = { root, index, outside, preferences, queue };
    await this.#guarded(() => this.#refreshed());
  }

  /** Once what has been asked for is done. */
  async close(): Promise<void> {
    await this.#opened?.root.idle();
    this.#opened = undefined;
  }

  saveTexts(drafts: readonly StoryDraft[]): Promise<SavedStory[]> {
    const keys = drafts.map(({ key }) => key);
    return this.#changed(keys, async (change) => {
      const saved: SavedStory[] = [];
      for (const draft of drafts) {
        const { key, text, size, expectedRevision } = draft;
        const known = change.known(key);
        const live = known?.isDeleted === false ? known : undefined;
        const actualRevision = live?.revision ?? 0;
        if (expectedRevision !== undefined && expectedRevision !== actualRevision) {
          throw new RevisionConflictError(key, expectedRevision, actualRevision);
        }
        // It was edited, and what is in it cannot be told from what the caller has seen.
        if (expectedRevision !== undefined && live !== undefined) this.#assertStory(key);
        this.#open().outside.setAside(change, toFileName(key));
        const now = this.#options.now();
        const record = change.put(known, {
          id: key,
          ...titleAfter(draft, live),
          tags: draft.tags ?? live?.tags ?? [],
          size,
          revision: (known?.revision ?? 0) + 1,
          createdAt: live?.createdAt ?? now,
          updatedAt: now,
          sum: hashText(text),
          text,
        });
        saved.push({ metadata: toMetadata(record), version: versionOf(record), isNew: live === undefined });
      }
      return saved;
    });
  }

  async loadText(key: string): Promise<LoadedStory | undefined> {
    expectId(key);
    const name = toFileName(key);
    return this.#guarded(async () => {
      for (let attempt = 1; ; attempt++) {
        const entry = (await this.#refreshed()).get(key);
        assertFolder(this.#root().at("stories"));
        if (entry === undefined && lstat(this.#storyFile(key)) === undefined) return undefined;
        const text = entry === undefined ? undefined : await readText(this.#storyFile(key));
        if (entry !== undefined && text !== undefined && hashText(text) === entry.sum) {
          return { text, revision: entry.revision, version: versionOf(entry) };
        }
        // Another program has changed it, or a change of this library is under way: the lock's owner sees it done.
        await this.#settle([name]);
        const settled = (await this.#refreshed()).get(key);
        const problem = this.#open().outside.problem(name);
        if (problem !== undefined) {
          if (settled !== undefined) throw problem;
          this.#open().outside.tell([name]);
          return undefined;
        }
        if (attempt === MAX_READS) {
          throw new StorageError(
            "BUSY",
            `${this.#storyFile(key)} changes again and again while it is read: try later`,
            {
              retryable: true,
            },
          );
        }
      }
    });
  }

  async version(key: string): Promise<string | undefined> {
    expectId(key);
    return this.#guarded(async () => {
      const entry = await this.#current(key);
      if (entry === undefined) return undefined;
      // A story that cannot be read must not be taken for the one that is in a cache.
      return this.#open().outside.problem(toFileName(key)) === undefined
        ? versionOf(entry)
        : `${versionOf(entry)}:changed`;
    });
  }

  delete(key: string): Promise<boolean> {
    expectId(key);
    return this.#changed([key], async (change) => {
      const known = change.known(key);
      if (known === undefined || known.isDeleted) return false;
      this.#open().outside.setAside(change, toFileName(key));
      change.remove(known, this.#options.now());
      return true;
    });
  }

  async list(filter?: StoryFilter): Promise<StoryMetadata[]> {
    const { tags, limit, offset } = toFilter(filter);
    return this.#guarded(async () => {
      const wanted = new Set(tags);
      const all = (await this.#scanned()).sorted();
      const matching = wanted.size === 0 ? all : all.filter((entry) => entry.tags.some((tag) => wanted.has(tag)));
      return matching.slice(offset, offset + limit).map(toMetadata);
    });
  }

  async getMetadata(key: string): Promise<StoryMetadata | undefined> {
    expectId(key);
    return this.#guarded(async () => {
      const entry = await this.#current(key);
      return entry === undefined ? undefined : toMetadata(entry);
    });
  }

  async updateMetadata(key: string, patch: StoryMetadataInput): Promise<StoryMetadata | undefined> {
    expectId(key);
    const { title, tags } = toMetadataPatch(this.repair(patch));
    if (title === undefined && tags === undefined) return this.getMetadata(key);
    return this.#changed([key], async (change) => {
      const known = change.known(key);
      if (known === undefined || known.isDeleted) return undefined;
      const record = change.put(known, {
        ...toEntry(known),
        ...(title === undefined ? {} : { title, titleIsOwn: true }),
        tags: tags ?? known.tags,
        revision: known.revision + 1,
        updatedAt: this.#options.now(),
        text: undefined,
      });
      return toMetadata(record);
    });
  }

  async getStorageUsage(): Promise<number> {
    return this.#guarded(async () => {
      let bytes = 0;
      for (const { size } of (await this.#scanned()).sorted()) bytes += size;
      return bytes;
    });
  }

  async clear(): Promise<void> {
    await this.#guarded(() =>
      this.#root().locked(async () => {
        const index = await this.#refreshed(true);
        // The count goes on, so that nothing new can pass for what was there.
        await this.#root().clear(index.serialize([], index.sequence + 1));
      }),
    );
  }

  async revisions(key: string): Promise<StoryRevision[]> {
    expectId(key);
    return this.#guarded(async () => {
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
    return this.#guarded(async () => {
      await this.#current(key);
      const read = async () => {
        const record = this.#record(key);
        const sum = record?.history.find((one) => one.revision === revision)?.sum;
        if (record === undefined || sum === undefined) return undefined;
        return { text: await this.#readRevision(record, revision), sum };
      };
      let found = await read();
      if (found !== undefined && !isWhole(found)) found = await this.#root().locked(read);
      if (found === undefined || isWhole(found)) return found?.text;
      throw new StorageError(
        "CORRUPT",
        `Revision ${revision} of story ${JSON.stringify(key)} is not what was saved; it was left as it is`,
      );
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
      this.#open().outside.setAside(change, toFileName(key));
      const record = change.put(known, {
        ...toEntry(known),
        revision: known.revision + 1,
        updatedAt: this.#options.now(),
        text,
      });
      return { metadata: toMetadata(record), version: versionOf(record), isNew: true };
    });
  }

  async saveCopy({ metadata, text, history }: StoryCopy): Promise<void> {
    const { id } = metadata;
    await this.#changed([id], async (change) => {
      let known = change.known(id);
      this.#open().outside.setAside(change, toFileName(id));
      const isFirst = known === undefined;
      const common = {
        id,
        title: metadata.title,
        titleIsOwn: metadata.title !== titleIn(JSON.parse(text)),
        tags: metadata.tags,
        createdAt: metadata.createdAt.getTime(),
      };
      for (const past of isFirst ? history : []) {
        const times = { revision: past.revision, updatedAt: past.createdAt.getTime() };
        const content = { size: Buffer.byteLength(past.text), sum: hashText(past.text), text: past.text };
        known = change.put(known, { ...common, ...times, ...content });
      }
      const revision = isFirst ? metadata.revision : known!.revision + 1;
      const content = { size: metadata.size, sum: hashText(text), text };
      change.put(known, { ...common, ...content, revision, updatedAt: metadata.updatedAt.getTime() });
    });
  }

  async savePreference(key: string, preference: { readonly value: unknown; readonly scope?: string }): Promise<void> {
    const { json, scope } = toPreference(key, this.repair(preference));
    await this.#guarded(() => this.#open().preferences.set(key, { value: JSON.parse(json), scope }));
  }

  async loadPreference(key: string): Promise<Preference | undefined> {
    return this.#guarded(() => this.#open().preferences.get(key));
  }

  async deletePreference(key: string): Promise<boolean> {
    return this.#guarded(() => this.#open().preferences.delete(key));
  }

  async listPreferences(prefix = ""): Promise<string[]> {
    expectText("prefix", prefix, 1000, 0);
    const keys = (await this.#guarded(() => this.#open().preferences.all())).map(({ key }) => key);
    // By code point, as SQLite sorts.
    return keys.filter((key) => key.startsWith(prefix)).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  async addToSyncQueue(input: SyncEntryInput): Promise<SyncEntry> {
    const { entry } = toSyncEntry(input, this.#options.now, uuidv7);
    await this.#guarded(() => this.#open().queue.set(entry.id, entry));
    return entry;
  }

  async getSyncQueue(): Promise<SyncEntry[]> {
    const items = await this.#guarded(() => this.#open().queue.all());
    return items.map(({ value }) => ({ ...value, timestamp: new Date(value.timestamp) }));
  }

  async removeFromSyncQueue(id: string): Promise<boolean> {
    return this.#guarded(() => this.#open().queue.delete(id));
  }

  async clearSyncQueue(): Promise<void> {
    await this.#guarded(() => this.#open().queue.clear());
  }

  async saveGithubToken(token: unknown): Promise<void> {
    const { box, project } = this.#options;
    const sealed = Buffer.from(box.seal(project, TOKEN_NAME, token)).toString("base64");
    await this.#guarded(() => this.#root().locked(() => this.#root().write(TOKEN, JSON.stringify({ sealed }))));
  }

  async loadGithubToken(): Promise<unknown> {
    const { box, project } = this.#options;
    const text = await this.#guarded(async () => readTextSync(this.#root().at(TOKEN)));
    if (text === undefined) return undefined;
    const { sealed } = JSON.parse(text) as { sealed: string };
    return box.open(project, TOKEN_NAME, Buffer.from(sealed, "base64"));
  }

  async deleteGithubToken(): Promise<boolean> {
    return this.#guarded(() => this.#root().locked(() => this.#root().remove(TOKEN)));
  }

  async conflicts(): Promise<StoryConflictFile[]> {
    return this.#guarded(async () => {
      await this.#refreshed();
      return this.#open().outside.conflicts();
    });
  }

  /** The index as it is now; rebuilt from the files where it is missing or damaged, or an earlier version was here. */
  async #refreshed(isLocked = false): Promise<StoryIndex> {
    const { index, root } = this.#open();
    if (!isLocked) await root.settle();
    const hasOldIndex = () => lstat(root.at(OLD_INDEX))?.isDirectory() === false;
    if (index.refresh() && !hasOldIndex()) return index;
    const rebuild = async () => {
      if (index.refresh() && !hasOldIndex()) return;
      // An earlier version knows of no other index than its own. What it has changed is in the metadata.
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

  /** The entry of a story, a change by another program taken in. */
  async #current(key: string): Promise<IndexEntry | undefined> {
    const index = await this.#refreshed();
    const name = toFileName(key);
    assertFolder(this.#root().at("stories"));
    if ((await this.#open().outside.look(name)) === "suspect") await this.#settle([name]);
    return index.get(key);
  }

  /** The index, with all changes by other programs that a look at the folder shows. */
  async #scanned(): Promise<StoryIndex> {
    const index = await this.#refreshed();
    const { outside, root } = this.#open();
    const { suspects, touched } = await outside.scan();
    if (suspects.length > 0) await this.#settle(suspects);
    outside.tell(suspects);
    // Files that were copied or checked out again have new times. Once the index has them, no process reads them again.
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

  /** Takes in what other programs have made of these files. */
  async #settle(names: readonly string[]): Promise<void> {
    await this.#root().locked(() => this.#takeIn(names));
  }

  /** The same; only under the lock. */
  async #takeIn(names: readonly string[]): Promise<void> {
    await this.#refreshed(true);
    const change = this.#change();
    for (const name of names) await this.#open().outside.takeIn(change, name, this.#options.now());
    await this.#commit(change);
  }

  /** Changes stories under the lock: all that `work` asks for, or nothing. Changes by other programs come before it. */
  #changed<T>(keys: readonly string[], work: (change: StoryChange) => Promise<T>): Promise<T> {
    return this.#guarded(() =>
      this.#root().locked(async () => {
        await this.#takeIn(keys.map(toFileName));
        const change = this.#change();
        const result = await work(change);
        await this.#commit(change);
        return result;
      }),
    );
  }

  #change(): StoryChange {
    const { index, outside } = this.#open();
    return new StoryChange({
      recordOf: (name) => this.#recordNamed(name),
      placeOf: (name, known) => outside.placeOf(name, known),
      stampOf: (name) => outside.stampOf(name),
      sequence: index.sequence,
      historyLimit: this.#options.historyLimit,
    });
  }

  async #commit(change: StoryChange): Promise<void> {
    if (change.isEmpty) return;
    const { root, index } = this.#open();
    await root.commit(change.toRootChange());
    try {
      await this.#refreshed(true);
      if (index.isLong) await root.write(INDEX, index.serialize());
    } catch {
      // The change is stored, and the call must not reject. The next one reads the index, or rebuilds it.
    }
  }

  #assertStory(key: string): void {
    const problem = this.#open().outside.problem(toFileName(key));
    if (problem !== undefined && lstat(this.#storyFile(key)) !== undefined) throw problem;
  }

  #record(key: string): StoryRecord | undefined {
    const record = this.#recordNamed(toFileName(key));
    return record?.id === key ? record : undefined;
  }

  #recordNamed(name: string): StoryRecord | undefined {
    const { root, index } = this.#open();
    assertFolder(root.at("metadata"));
    return readRecord(root, name, index.named(name));
  }

  /** The text of a revision; that of the present one from its copy where the story's file is not what was saved. */
  async #readRevision(record: StoryRecord, revision: number): Promise<string | undefined> {
    const { root } = this.#open();
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
    return this.#root().at("stories", `${toFileName(key)}.json`);
  }

  #root(): StoryRoot {
    return this.#open().root;
  }

  #open() {
    if (this.#opened !== undefined) return this.#opened;
    throw new StorageError("CLOSED", "These stories are closed, or not initialized yet: open them first");
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw toFileError(error);
    }
  }
}

function versionOf({ sequence, revision, sum }: IndexEntry): string {
  return `${sequence}:${revision}:${sum}`;
}

function isWhole({ text, sum }: { text: string | undefined; sum: string }): boolean {
  return text !== undefined && hashText(text) === sum;
}
