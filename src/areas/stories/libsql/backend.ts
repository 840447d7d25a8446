import { sql } from "drizzle-orm";
import { toStorageError } from "../../../client/storage-error.js";
import { stories } from "../../../schema/stories.js";
import { StorageError } from "../../../shared/errors.js";
import { expectId, toSqlLimit } from "../../arguments.js";
import { checksumOf, hashText } from "../../checksum.js";
import { type ChangeAction, type RepositoryContext, removing } from "../../context.js";
import { asStorageErrors, type Executor, scalar } from "../../executor.js";
import { currentExecutor } from "../../optimistic.js";
import { readAll } from "../../read-all.js";
import { all, type Statement, toStatement } from "../../statements.js";
import { RevisionConflictError } from "../errors.js";
import type { StoryConflictFile } from "../filesystem/conflict-files.js";
import { type SearchStoriesOptions, type StorySearchResult, searchStories } from "../search.js";
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
} from "../story.js";
import { clearStatements, LibsqlExtras } from "./extras.js";
import * as statements from "./statements.js";

export interface StoryContext extends RepositoryContext {
  /** Revisions kept of each story. */
  readonly historyLimit: number;
  readonly box: SecretBox;
}

/** A row of `stories`, deleted or not. */
interface Known {
  readonly rowId: number;
  readonly title: string;
  readonly titleIsOwn: boolean;
  readonly tags: readonly string[];
  readonly size: number;
  readonly revision: number;
  readonly contentRowId: number;
  readonly createdAt: number;
  readonly isDeleted: boolean;
  readonly contentChecksum: string;
}

/** What a story is to become. */
interface Next {
  readonly id: string;
  readonly title: string;
  readonly titleIsOwn: boolean;
  readonly tags: readonly string[];
  readonly size: number;
  readonly revision: number;
  readonly contentRowId: number;
  readonly contentChecksum: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

const s = stories;

/** The stories of one project of a storage. */
export class LibsqlBackend extends TextBackend {
  readonly #context: StoryContext;
  readonly #extras: LibsqlExtras;

  /** @internal */
  constructor(context: StoryContext) {
    super(context.repair);
    this.#context = context;
    this.#extras = new LibsqlExtras(context);
  }

  override get current(): LibsqlBackend {
    const executor = currentExecutor(this.#context.executor);
    return executor === this.#context.executor ? this : new LibsqlBackend({ ...this.#context, executor });
  }

  /** The schema is the storage's. */
  async initialize(): Promise<void> {}

  async close(): Promise<void> {}

  async saveTexts(drafts: readonly StoryDraft[]): Promise<SavedStory[]> {
    const saved = await this.#atomically(async (executor) => {
      const done: SavedStory[] = [];
      for (const draft of drafts) done.push(await this.#save(executor, draft));
      return done;
    });
    const idsOf = (isNew: boolean) => saved.filter((one) => one.isNew === isNew).map(({ metadata }) => metadata.id);
    this.#announce("insert", idsOf(true));
    this.#announce("update", idsOf(false));
    return saved;
  }

  async loadText(key: string): Promise<LoadedStory | undefined> {
    expectId(key);
    const { rows } = await this.#execute(statements.selectText({ project: this.#context.project, id: key }));
    const row = rows[0];
    if (row === undefined) return undefined;
    const text = verified(key, row[2] as string, row[3] as string);
    return { text, revision: Number(row[1]), version: `${row[0]}:${row[1]}` };
  }

  async version(key: string): Promise<string | undefined> {
    expectId(key);
    const { executor, project } = this.#context;
    try {
      // Asked at each hit of the cache: every layer counts.
      const { rows } = await executor.execute({ sql: statements.VERSION_SQL, args: [project, key] });
      const row = rows[0];
      return row === undefined ? undefined : `${row[0]}:${row[1]}`;
    } catch (error) {
      throw toStorageError(error);
    }
  }

  async delete(key: string): Promise<boolean> {
    expectId(key);
    const { project, now } = this.#context;
    const values = { project, id: key };
    const [, , deleted] = await asStorageErrors(() =>
      this.#context.executor.batch([
        statements.deleteTags(values),
        statements.deleteSearched(values),
        statements.deleteStory({ ...values, now: now() }),
      ]),
    );
    const isDeleted = deleted!.rowsAffected > 0;
    if (isDeleted) this.#announce("delete", [key]);
    return isDeleted;
  }

  async list(filter?: StoryFilter): Promise<StoryMetadata[]> {
    const { tags, limit, offset } = toFilter(filter);
    const { project } = this.#context;
    const conditions = [sql`${s.project} = ${project}`, sql`${s.deletedAt} is null`];
    if (tags.length > 0) conditions.push(statements.hasAnyTag(s.rowId, project, tags));
    const query = toStatement(sql`select ${statements.metadataColumns} from ${s} where ${all(conditions)}
      order by ${s.updatedAt} desc, ${s.changeRowId} desc limit ${toSqlLimit(limit)} offset ${offset}`);
    const rows = await asStorageErrors(() => readAll(this.#context.executor, query));
    return rows.map(statements.toMetadata);
  }

  async getMetadata(key: string): Promise<StoryMetadata | undefined> {
    expectId(key);
    const { rows } = await this.#execute(statements.selectMetadata({ project: this.#context.project, id: key }));
    return rows[0] === undefined ? undefined : statements.toMetadata(rows[0]);
  }

  async updateMetadata(key: string, patch: StoryMetadataInput): Promise<StoryMetadata | undefined> {
    expectId(key);
    const { title, tags } = toMetadataPatch(this.repair(patch));
    if (title === undefined && tags === undefined) return this.getMetadata(key);
    const updated = await this.#atomically(async (executor) => {
      const known = await this.#known(executor, key);
      if (known === undefined || known.isDeleted) return undefined;
      const own = title === undefined ? known : { title, titleIsOwn: true };
      const next: Next = {
        ...known,
        id: key,
        title: own.title,
        titleIsOwn: own.titleIsOwn,
        tags: tags ?? known.tags,
        revision: known.revision + 1,
        updatedAt: this.#context.now(),
      };
      return (await this.#store(executor, known, next)).metadata;
    });
    if (updated !== undefined) this.#announce("update", [key]);
    return updated;
  }

  async getStorageUsage(): Promise<number> {
    return Number(scalar(await this.#execute(statements.sumSizes({ project: this.#context.project }))));
  }

  async clear(): Promise<void> {
    const { project } = this.#context;
    const clear = () =>
      this.#atomically(async (executor) => {
        const query = toStatement(sql`select ${s.id} from ${s} where ${s.project} = ${project}`);
        const rows = await readAll(executor, query);
        await executor.batch(clearStatements(project));
        return rows.map((row) => row[0] as string);
      });
    const ids = await removing(this.#context, clear);
    this.#announce("purge", ids);
    await this.#context.erase?.();
  }

  async revisions(key: string): Promise<StoryRevision[]> {
    expectId(key);
    const { rows } = await this.#execute(statements.selectRevisions({ project: this.#context.project, id: key }));
    return rows.map((row) => ({
      revision: Number(row[0]),
      size: Number(row[1]),
      createdAt: new Date(Number(row[2])),
    }));
  }

  async loadRevisionText(key: string, revision: number): Promise<string | undefined> {
    expectId(key);
    const { project } = this.#context;
    const { rows } = await this.#execute(statements.selectRevisionText({ project, id: key, revision }));
    const row = rows[0];
    return row === undefined ? undefined : verified(key, row[0] as string, row[1] as string);
  }

  async restoreLast(key: string): Promise<SavedStory | undefined> {
    expectId(key);
    const restored = await this.#atomically(async (executor) => {
      const known = await this.#known(executor, key);
      if (known === undefined) return undefined;
      // Its deletion is what is undone: title, tags and the time of creation come back too.
      if (!known.isDeleted) throw new RevisionConflictError(key, 0, known.revision);
      const next: Next = { ...known, id: key, revision: known.revision + 1, updatedAt: this.#context.now() };
      return this.#store(executor, known, next);
    });
    if (restored !== undefined) this.#announce("restore", [key]);
    return restored;
  }

  async saveCopy({ metadata, text, history }: StoryCopy): Promise<void> {
    const { id } = metadata;
    const isNew = await this.#atomically(async (executor) => {
      const known = await this.#known(executor, id);
      const isFirst = known === undefined;
      const revisions = isFirst ? history : [];
      for (const { revision, createdAt, text: past } of revisions) {
        const contentRowId = await this.#insertContent(executor, past, Buffer.byteLength(past));
        await this.#insertRevision(executor, id, revision, contentRowId, createdAt.getTime());
      }
      const contentRowId = await this.#insertContent(executor, text, metadata.size);
      await this.#store(executor, known, {
        ...metadata,
        titleIsOwn: metadata.title !== titleIn(JSON.parse(text)),
        revision: isFirst ? metadata.revision : known.revision + 1,
        contentRowId,
        contentChecksum: hashText(text),
        createdAt: metadata.createdAt.getTime(),
        updatedAt: metadata.updatedAt.getTime(),
      });
      return isFirst || known.isDeleted;
    });
    this.#announce(isNew ? "insert" : "update", [id]);
  }

  /** A database has no files next to its stories. */
  async conflicts(): Promise<StoryConflictFile[]> {
    return [];
  }

  searchStories(text: string, options?: SearchStoriesOptions): Promise<StorySearchResult[]> {
    return searchStories(this.#context, text, options);
  }

  savePreference(key: string, preference: { readonly value: unknown; readonly scope?: string }): Promise<void> {
    return this.#extras.savePreference(key, this.repair(preference));
  }

  loadPreference(key: string): Promise<Preference | undefined> {
    return this.#extras.loadPreference(key);
  }

  deletePreference(key: string): Promise<boolean> {
    return this.#extras.deletePreference(key);
  }

  listPreferences(prefix?: string): Promise<string[]> {
    return this.#extras.listPreferences(prefix);
  }

  addToSyncQueue(entry: SyncEntryInput): Promise<SyncEntry> {
    return this.#extras.addToSyncQueue(entry);
  }

  getSyncQueue(): Promise<SyncEntry[]> {
    return this.#extras.getSyncQueue();
  }

  removeFromSyncQueue(id: string): Promise<boolean> {
    return this.#extras.removeFromSyncQueue(id);
  }

  clearSyncQueue(): Promise<void> {
    return this.#extras.clearSyncQueue();
  }

  saveGithubToken(token: unknown): Promise<void> {
    return this.#extras.saveGithubToken(token);
  }

  loadGithubToken(): Promise<unknown> {
    return this.#extras.loadGithubToken();
  }

  deleteGithubToken(): Promise<boolean> {
    return this.#extras.deleteGithubToken();
  }

  async #save(executor: Executor, draft: StoryDraft): Promise<SavedStory> {
    const { key, text, size, expectedRevision } = draft;
    const known = await this.#known(executor, key);
    const live = known?.isDeleted === false ? known : undefined;
    const actualRevision = live?.revision ?? 0;
    if (expectedRevision !== undefined && expectedRevision !== actualRevision) {
      throw new RevisionConflictError(key, expectedRevision, actualRevision);
    }
    const now = this.#context.now();
    const contentChecksum = hashText(text);
    // Equal content is stored once: an autosave of what is there already costs next to nothing.
    const isSame = live?.contentChecksum === contentChecksum && live.size === size;
    return this.#store(executor, known, {
      id: key,
      ...titleAfter(draft, live),
      tags: draft.tags ?? live?.tags ?? [],
      size,
      // It goes on after a delete, so that no editor's old revision can fit by chance.
      revision: (known?.revision ?? 0) + 1,
      contentRowId: isSame ? live.contentRowId : await this.#insertContent(executor, text, size, contentChecksum),
      contentChecksum,
      createdAt: live?.createdAt ?? now,
      updatedAt: now,
    });
  }

  /** Writes what a story is to become, in place of what is `known` of it. */
  async #store(executor: Executor, known: Known | undefined, next: Next): Promise<SavedStory> {
    const { project } = this.#context;
    const { id, title, tags, size, revision, contentRowId, createdAt } = next;
    // The clock may have been set back.
    const updatedAt = Math.max(createdAt, next.updatedAt);
    const titleIsOwn = next.titleIsOwn ? 1 : 0;
    const json = JSON.stringify(tags);
    const checksum = checksumOf([
      project,
      id,
      title,
      titleIsOwn,
      json,
      size,
      revision,
      createdAt,
      updatedAt,
      next.contentChecksum,
    ]);
    const changeRowId = await this.#insertRevision(executor, id, revision, contentRowId, updatedAt);
    let rowId = known?.rowId;
    if (rowId === undefined) {
      const values = [project, id, title, titleIsOwn, json, size, revision, contentRowId, changeRowId];
      rowId = await insert(executor, statements.insertStory([...values, createdAt, updatedAt, checksum]));
    } else {
      const times = { createdAt, updatedAt };
      const pointers = { contentRowId, changeRowId };
      const values = { project, id, title, titleIsOwn, tags: json, size, revision, checksum, ...pointers, ...times };
      await executor.execute(statements.updateStory(values));
    }
    const before = known === undefined || known.isDeleted ? [] : known.tags;
    if (json !== JSON.stringify(before)) {
      if (before.length > 0) await executor.execute(statements.deleteTags({ project, id }));
      for (const tag of tags) await executor.execute(statements.insertTag([project, tag, rowId]));
    }
    await this.#prune(executor, id, revision);
    const times = { createdAt: new Date(createdAt), updatedAt: new Date(updatedAt) };
    return {
      metadata: { id, title, tags: [...tags], size, revision, ...times },
      version: `${rowId}:${revision}`,
      isNew: known === undefined || known.isDeleted,
    };
  }

  /** Removes revisions past the limit, with the contents that only they have. */
  async #prune(executor: Executor, id: string, revision: number): Promise<void> {
    const { project, historyLimit } = this.#context;
    if (revision <= historyLimit) return;
    const { rows } = await executor.execute(statements.selectOldestKept({ project, id, last: historyLimit - 1 }));
    if (rows[0] === undefined) return;
    const values = { project, id, oldest: Number(rows[0][0]) };
    await executor.execute(statements.deletePastContents(values));
    await executor.execute(statements.deletePast(values));
  }

  #insertContent(executor: Executor, text: string, size: number, checksum = hashText(text)): Promise<number> {
    return insert(executor, statements.insertContent([this.#context.project, text, size, checksum]));
  }

  #insertRevision(executor: Executor, id: string, revision: number, content: number, at: number): Promise<number> {
    return insert(executor, statements.insertRevision([this.#context.project, id, revision, content, at]));
  }

  async #known(executor: Executor, id: string): Promise<Known | undefined> {
    const { rows } = await executor.execute(statements.selectKnown({ project: this.#context.project, id }));
    const row = rows[0];
    if (row === undefined) return undefined;
    return {
      rowId: Number(row[0]),
      title: row[1] as string,
      titleIsOwn: Number(row[2]) === 1,
      tags: JSON.parse(row[3] as string) as string[],
      size: Number(row[4]),
      revision: Number(row[5]),
      contentRowId: Number(row[6]),
      createdAt: Number(row[7]),
      isDeleted: row[8] !== null,
      contentChecksum: row[9] as string,
    };
  }

  #execute(statement: Statement) {
    return asStorageErrors(() => this.#context.executor.execute(statement));
  }

  #atomically<T>(work: (executor: Executor) => Promise<T>): Promise<T> {
    return asStorageErrors(() => this.#context.executor.atomically(work));
  }

  #announce(action: ChangeAction, ids: readonly string[]): void {
    if (ids.length > 0) this.#context.announce({ project: this.#context.project, area: "stories", action, ids });
  }
}

function verified(id: string, text: string, checksum: string): string {
  if (hashText(text) === checksum) return text;
  throw new StorageError(
    "CORRUPT",
    `The content of story ${JSON.stringify(id)} is not what was stored: revert to an earlier revision, or restore a backup`,
  );
}

async function insert(executor: Executor, statement: Statement): Promise<number> {
  const { lastInsertRowid } = await executor.execute(statement);
  return Number(lastInsertRowid);
}
