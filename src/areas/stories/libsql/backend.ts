import type { ResultSet } from "@libsql/client";
import { sql } from "drizzle-orm";
import { stories } from "../../../schema/stories.js";
import { StorageError } from "../../../shared/errors.js";
import { expectId, toSqlLimit } from "../../arguments.js";
import { hashText } from "../../checksum.js";
import { removing } from "../../context.js";
import { scalar } from "../../executor.js";
import { currentExecutor } from "../../optimistic.js";
import { readAll } from "../../read-all.js";
import { announce } from "../../repository.js";
import { all, toStatement } from "../../statements.js";
import { RevisionConflictError } from "../errors.js";
import type { StoryConflictFile } from "../filesystem/conflict-files.js";
import { type SearchStoriesOptions, type StorySearchResult, searchStories } from "../search.js";
import type { SavedStory, TextStore } from "../store.js";
import { type LoadedStory, type StoryFilter, type StoryMetadata, type StoryRevision, toFilter } from "../story.js";
import { LibsqlEdit } from "./edit.js";
import { clearStatements, LibsqlExtras } from "./extras.js";
import * as statements from "./statements.js";

const s = stories;

/** The stories of one project of a storage. */
export class LibsqlBackend extends LibsqlExtras implements TextStore {
  get current(): LibsqlBackend {
    const executor = currentExecutor(this.context.executor);
    return executor === this.context.executor ? this : new LibsqlBackend({ ...this.context, executor });
  }

  /** The storage has applied the schema. */
  async initialize(): Promise<void> {}

  async close(): Promise<void> {}

  async loadText(key: string): Promise<LoadedStory | undefined> {
    expectId(key);
    const { rows } = await this.execute(statements.selectText({ project: this.context.project, id: key }));
    const row = rows[0];
    if (row === undefined) return undefined;
    const { at } = statements.text;
    const text = verified(key, row[at.data] as string, row[at.checksum] as string);
    return { text, revision: Number(row[at.revision]), version: `${row[at.rowId]}:${row[at.revision]}` };
  }

  async version(key: string): Promise<string | undefined> {
    expectId(key);
    const { executor, project } = this.context;
    // Each hit of the cache asks for this, so every layer counts.
    const { rows } = await executor.execute({ sql: statements.VERSION_SQL, args: [project, key] });
    const row = rows[0];
    return row && `${row[0]}:${row[1]}`;
  }

  async delete(key: string): Promise<boolean> {
    expectId(key);
    const { project, now } = this.context;
    const values = { project, id: key };
    const [, , deleted] = await this.context.executor.batch([
      statements.deleteTags(values),
      statements.deleteSearched(values),
      statements.deleteStory({ ...values, now: now() }),
    ]);
    const isDeleted = deleted!.rowsAffected > 0;
    if (isDeleted) announce(this.context, "stories", "delete", [key]);
    return isDeleted;
  }

  async list(filter?: StoryFilter): Promise<StoryMetadata[]> {
    const { tags, limit, offset } = toFilter(filter);
    const { project } = this.context;
    const conditions = [sql`${s.project} = ${project}`, sql`${s.deletedAt} is null`];
    if (tags.length > 0) conditions.push(statements.hasAnyTag(s.rowId, project, tags));
    const query = toStatement(sql`select ${statements.metadata.columns} from ${s} where ${all(conditions)}
      order by ${s.updatedAt} desc, ${s.changeRowId} desc limit ${toSqlLimit(limit)} offset ${offset}`);
    return (await readAll(this.context.executor, query)).map(statements.toMetadata);
  }

  async getMetadata(key: string): Promise<StoryMetadata | undefined> {
    expectId(key);
    const { rows } = await this.execute(statements.selectMetadata({ project: this.context.project, id: key }));
    return rows[0] === undefined ? undefined : statements.toMetadata(rows[0]);
  }

  async getStorageUsage(): Promise<number> {
    return Number(scalar(await this.execute(statements.sumSizes({ project: this.context.project }))));
  }

  async clear(): Promise<void> {
    const { project } = this.context;
    const clear = () =>
      this.context.executor.atomically(async (executor) => {
        const query = toStatement(sql`select ${s.id} from ${s} where ${s.project} = ${project}`);
        const rows = await readAll(executor, query);
        await executor.batch(clearStatements(project));
        return rows.map((row) => row[0] as string);
      });
    const ids = await removing(this.context, clear);
    announce(this.context, "stories", "purge", ids);
    await this.context.erase?.();
  }

  async revisions(key: string): Promise<StoryRevision[]> {
    expectId(key);
    const { rows } = await this.execute(statements.selectRevisions({ project: this.context.project, id: key }));
    const { at } = statements.revision;
    return rows.map((row) => ({
      revision: Number(row[at.revision]),
      size: Number(row[at.size]),
      createdAt: new Date(Number(row[at.createdAt])),
    }));
  }

  async loadRevisionText(key: string, revision: number): Promise<string | undefined> {
    expectId(key);
    const { project } = this.context;
    return textOf(key, await this.execute(statements.selectRevisionText({ project, id: key, revision })));
  }

  assertOutside(): void {
    this.context.executor.assertOutside?.();
  }

  async restoreLast(key: string): Promise<SavedStory | undefined> {
    expectId(key);
    const { project } = this.context;
    const restored = await this.context.executor.atomically(async (executor) => {
      const edit = new LibsqlEdit(this.context, executor);
      const known = await edit.known(key);
      if (known === undefined) return undefined;
      // This undoes the delete, so the title, the tags and the creation time come back too.
      if (!known.isDeleted) throw new RevisionConflictError(key, 0, known.revision);
      textOf(
        key,
        await executor.execute(statements.selectRevisionText({ project, id: key, revision: known.revision })),
      );
      return edit.put(known, this.next(key, known));
    });
    if (restored !== undefined) announce(this.context, "stories", "restore", [key]);
    return restored;
  }

  /** A database has no files next to its stories. */
  async conflicts(): Promise<StoryConflictFile[]> {
    return [];
  }

  searchStories(text: string, options?: SearchStoriesOptions): Promise<StorySearchResult[]> {
    return searchStories(this.context, text, options);
  }

  protected async edit<T>(_keys: readonly string[], work: (edit: LibsqlEdit) => Promise<T>): Promise<T> {
    let changed: LibsqlEdit["changed"] | undefined;
    const result = await this.context.executor.atomically((executor) => {
      const edit = new LibsqlEdit(this.context, executor);
      changed = edit.changed;
      return work(edit);
    });
    for (const isNew of [true, false]) {
      const ids = [...changed!].filter(([, was]) => was === isNew).map(([id]) => id);
      announce(this.context, "stories", isNew ? "insert" : "update", ids);
    }
    return result;
  }
}

/** The text of a revision; undefined if there is none, and `CORRUPT` if it is not what was stored. */
function textOf(id: string, { rows }: ResultSet): string | undefined {
  const { at } = statements.revisionText;
  const row = rows[0];
  return row && verified(id, row[at.data] as string, row[at.checksum] as string);
}

function verified(id: string, text: string, checksum: string): string {
  if (hashText(text) === checksum) return text;
  throw new StorageError(
    "CORRUPT",
    `The content of story ${JSON.stringify(id)} is not what was stored: revert to an earlier revision, or restore a backup`,
  );
}
