import type { RepositoryContext } from "../../context.js";
import type { Executor } from "../../executor.js";
import type { Statement } from "../../statements.js";
import type { SavedStory } from "../store.js";
import type { KnownStory, NextStory, StoryEdit } from "../text-backend.js";
import * as statements from "./statements.js";

/** A row of `stories`, deleted or not. */
export interface KnownRow extends KnownStory {
  readonly rowId: number;
  readonly contentRowId: number;
}

/** Changes the stories of a project in one transaction. */
export class LibsqlEdit implements StoryEdit<KnownRow> {
  /** The ids of the stories that were put, and whether they are new. */
  readonly changed = new Map<string, boolean>();
  readonly #context: RepositoryContext;
  readonly #executor: Executor;

  constructor(context: RepositoryContext, executor: Executor) {
    this.#context = context;
    this.#executor = executor;
  }

  async known(id: string): Promise<KnownRow | undefined> {
    const { rows } = await this.#executor.execute(statements.selectKnown({ project: this.#context.project, id }));
    const row = rows[0];
    if (row === undefined) return undefined;
    const { at } = statements.known;
    return {
      rowId: Number(row[at.rowId]),
      title: row[at.title] as string,
      titleIsOwn: Number(row[at.titleIsOwn]) === 1,
      tags: JSON.parse(row[at.tags] as string) as string[],
      size: Number(row[at.size]),
      revision: Number(row[at.revision]),
      contentRowId: Number(row[at.contentRowId]),
      createdAt: Number(row[at.createdAt]),
      isDeleted: row[at.deletedAt] !== null,
      sum: row[at.sum] as string,
    };
  }

  async put(known: KnownRow | undefined, next: NextStory): Promise<SavedStory> {
    const executor = this.#executor;
    const { project } = this.#context;
    const { id, title, tags, size, revision, createdAt, sum } = next;
    const live = known?.isDeleted === false ? known : undefined;
    // The clock may have been set back.
    const updatedAt = Math.max(createdAt, next.updatedAt);
    const contentRowId = await this.#contentOf(known, next);
    const changeRowId = await this.#insert(
      statements.insertRevision({ project, id, revision, contentRowId, createdAt: updatedAt }),
    );
    const json = JSON.stringify(tags);
    const titleIsOwn = next.titleIsOwn ? 1 : 0;
    const values = { project, id, title, titleIsOwn, tags: json, size, revision, createdAt, updatedAt };
    const row = { ...values, contentRowId, changeRowId, checksum: statements.storyChecksum(values, sum) };
    let rowId = known?.rowId;
    if (rowId === undefined) rowId = await this.#insert(statements.insertStory(row));
    else await executor.execute(statements.updateStory(row));
    const before = live?.tags ?? [];
    if (json !== JSON.stringify(before)) {
      if (before.length > 0) await executor.execute(statements.deleteTags({ project, id }));
      for (const tag of tags) await executor.execute(statements.insertTag([project, tag, rowId]));
    }
    await this.#prune(id, revision);
    const isNew = live === undefined;
    if (!this.changed.has(id)) this.changed.set(id, isNew);
    const times = { createdAt: new Date(createdAt), updatedAt: new Date(updatedAt) };
    return {
      metadata: { id, title, tags: [...tags], size, revision, ...times },
      version: `${rowId}:${revision}`,
      isNew,
    };
  }

  /** The row of the content. Equal content is stored once: an autosave of an unchanged story costs almost nothing. */
  #contentOf(known: KnownRow | undefined, { text, size, sum }: NextStory): number | Promise<number> {
    if (known !== undefined) {
      const isSame = text === undefined || (!known.isDeleted && known.sum === sum && known.size === size);
      if (isSame) return known.contentRowId;
    }
    const { project } = this.#context;
    return this.#insert(statements.insertContent({ project, data: text!, size, checksum: sum }));
  }

  /** Deletes the revisions past the limit, with the contents that only they have. */
  async #prune(id: string, revision: number): Promise<void> {
    const { project, stories } = this.#context;
    const { historyLimit } = stories;
    if (revision <= historyLimit) return;
    const executor = this.#executor;
    const { rows } = await executor.execute(statements.selectOldestKept({ project, id, last: historyLimit - 1 }));
    if (rows[0] === undefined) return;
    const values = { project, id, oldest: Number(rows[0][0]) };
    await executor.execute(statements.deletePastContents(values));
    await executor.execute(statements.deletePast(values));
  }

  async #insert(statement: Statement): Promise<number> {
    const { lastInsertRowid } = await this.#executor.execute(statement);
    return Number(lastInsertRowid);
  }
}
