import { expectId } from "../arguments.js";
import { hashText } from "../checksum.js";
import { keepText, type Repair } from "../repair.js";
import { type BackendMethod, isBackendMethod, markDefined } from "./backend.js";
import { RevisionConflictError } from "./errors.js";
import type { SavedStory, StoryCopy } from "./store.js";
import {
  expectRevision,
  type LoadedStory,
  type StoryData,
  type StoryDraft,
  type StoryMetadata,
  type StoryMetadataInput,
  titleAfter,
  titleIn,
  toDraft,
  toImport,
  toMetadataPatch,
} from "./story.js";

/** What is stored about a story, deleted or not. */
export interface KnownStory {
  readonly title: string;
  readonly titleIsOwn: boolean;
  readonly tags: readonly string[];
  readonly size: number;
  readonly revision: number;
  readonly createdAt: number;
  readonly isDeleted: boolean;
  /** The hash of the story's JSON. */
  readonly sum: string;
}

/** The next state of a story. */
export interface NextStory extends Omit<KnownStory, "isDeleted"> {
  readonly id: string;
  readonly updatedAt: number;
  /** The JSON; undefined if it does not change. */
  readonly text: string | undefined;
}

/** One transaction that changes stories. */
export interface StoryEdit<K extends KnownStory> {
  known(key: string): K | undefined | Promise<K | undefined>;
  /** Replaces `known` with `next`. */
  put(known: K | undefined, next: NextStory): SavedStory | Promise<SavedStory>;
  /** Throws if the text of a story is not the text of its revision. */
  assertWhole?(key: string): void;
}

/** The part that the built-in backends share: they store JSON text, and decide alike what a change makes of a story. */
export abstract class TextBackend<K extends KnownStory> {
  readonly isBuiltIn = true;
  /** Applied to stories, their metadata and preferences before they are checked. */
  protected readonly repair: Repair;
  protected readonly now: () => number;

  constructor(now: () => number, repair: Repair = keepText) {
    this.now = now;
    this.repair = repair;
    markDefined(this);
  }

  has(method: BackendMethod): boolean {
    return isBackendMethod(method);
  }

  abstract loadText(key: string): Promise<LoadedStory | undefined>;
  abstract version(key: string): Promise<string | undefined>;
  abstract getMetadata(key: string): Promise<StoryMetadata | undefined>;
  abstract loadRevisionText(key: string, revision: number): Promise<string | undefined>;
  /** Runs `work` in one transaction, which changes the stories with these keys: completely, or not at all. */
  protected abstract edit<T>(keys: readonly string[], work: (edit: StoryEdit<K>) => Promise<T>): Promise<T>;

  async save(key: string, data: StoryData, metadata?: StoryMetadataInput): Promise<StoryMetadata> {
    return this.#saveOne(toDraft(key, this.repair(data), this.repair(metadata)));
  }

  async saveIf(
    key: string,
    data: StoryData,
    metadata: StoryMetadataInput | undefined,
    expectedRevision: number,
  ): Promise<StoryMetadata> {
    return this.#saveOne(toDraft(key, this.repair(data), this.repair(metadata), expectedRevision));
  }

  async load(key: string): Promise<StoryData | undefined> {
    const loaded = await this.loadText(key);
    return loaded === undefined ? undefined : (JSON.parse(loaded.text) as StoryData);
  }

  async exists(key: string): Promise<boolean> {
    return (await this.version(key)) !== undefined;
  }

  async export(key: string): Promise<string | undefined> {
    return (await this.loadText(key))?.text;
  }

  async importData(story: string | StoryData): Promise<string> {
    const { id, data } = toImport(story);
    await this.#saveOne(toDraft(id, this.repair(data)));
    return id;
  }

  async loadRevision(key: string, revision: number): Promise<StoryData | undefined> {
    expectRevision(revision);
    const text = await this.loadRevisionText(key, revision);
    return text === undefined ? undefined : (JSON.parse(text) as StoryData);
  }

  async saveTexts(drafts: readonly StoryDraft[]): Promise<SavedStory[]> {
    const keys = drafts.map(({ key }) => key);
    return this.edit(keys, async (edit) => {
      const saved: SavedStory[] = [];
      for (const draft of drafts) saved.push(await this.#put(edit, draft));
      return saved;
    });
  }

  async updateMetadata(key: string, patch: StoryMetadataInput): Promise<StoryMetadata | undefined> {
    expectId(key);
    const { title, tags } = toMetadataPatch(this.repair(patch));
    if (title === undefined && tags === undefined) return this.getMetadata(key);
    return this.edit([key], async (edit) => {
      const known = await edit.known(key);
      if (known === undefined || known.isDeleted) return undefined;
      const own = title === undefined ? {} : { title, titleIsOwn: true };
      const { metadata } = await edit.put(known, { ...this.next(key, known), ...own, tags: tags ?? known.tags });
      return metadata;
    });
  }

  async saveCopy({ metadata, text, history }: StoryCopy): Promise<void> {
    const { id, title, tags, createdAt, updatedAt } = metadata;
    const titleIsOwn = title !== titleIn(JSON.parse(text));
    await this.edit([id], async (edit) => {
      const put = async (revision: number, json: string, created: Date, updated: Date) => {
        await edit.put(await edit.known(id), {
          id,
          title,
          titleIsOwn,
          tags,
          size: Buffer.byteLength(json),
          revision,
          createdAt: created.getTime(),
          updatedAt: updated.getTime(),
          sum: hashText(json),
          text: json,
        });
      };
      const known = await edit.known(id);
      if (known !== undefined) return put(known.revision + 1, text, createdAt, updatedAt);
      // A revision may be older than the story: from before a delete.
      for (const past of history) await put(past.revision, past.text, past.createdAt, past.createdAt);
      await put(metadata.revision, text, createdAt, updatedAt);
    });
  }

  /** The next revision of a story, with nothing else changed. */
  protected next(id: string, known: KnownStory): NextStory {
    const { title, titleIsOwn, tags, size, createdAt, sum } = known;
    const revision = known.revision + 1;
    return { id, title, titleIsOwn, tags, size, revision, createdAt, updatedAt: this.now(), sum, text: undefined };
  }

  async #saveOne(draft: StoryDraft): Promise<StoryMetadata> {
    const [saved] = await this.saveTexts([draft]);
    return saved!.metadata;
  }

  async #put(edit: StoryEdit<K>, draft: StoryDraft): Promise<SavedStory> {
    const { key, text, size, expectedRevision } = draft;
    const known = await edit.known(key);
    const live = known?.isDeleted === false ? known : undefined;
    if (expectedRevision !== undefined) {
      const actualRevision = live?.revision ?? 0;
      if (expectedRevision !== actualRevision) throw new RevisionConflictError(key, expectedRevision, actualRevision);
      if (live !== undefined) edit.assertWhole?.(key);
    }
    const now = this.now();
    return edit.put(known, {
      id: key,
      ...titleAfter(draft, live),
      tags: draft.tags ?? live?.tags ?? [],
      size,
      // The count continues after a delete, so that an old revision never matches by chance.
      revision: (known?.revision ?? 0) + 1,
      createdAt: live?.createdAt ?? now,
      updatedAt: now,
      sum: hashText(text),
      text,
    });
  }
}
