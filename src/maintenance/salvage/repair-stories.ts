import type { Row } from "@libsql/client";
import { sql } from "drizzle-orm";
import { hashText } from "../../areas/checksum.js";
import type { Executor } from "../../areas/executor.js";
import { readAll } from "../../areas/read-all.js";
import { pagesByRowId } from "../../areas/rows.js";
import {
  byName,
  list,
  pick,
  prepareStatement,
  type Statement,
  selection,
  setEach,
  toStatement,
} from "../../areas/statements.js";
import { CHANGED, insertStory, storyChecksum } from "../../areas/stories/libsql/statements.js";
import { titleAfter, titleIn } from "../../areas/stories/story.js";
import { stories, storyContents, storyRevisions, storyTags } from "../../schema/index.js";
import { isTagList } from "./rows.js";
import { runAll } from "./run-all.js";

const s = stories;
const c = storyContents;
const r = storyRevisions;

const updateRow = prepareStatement(
  () => sql`update ${s} set ${setEach(CHANGED)}, indexed_revision = 0 where row_id = ${sql.placeholder("rowId")}`,
);

/** Sets each story to its newest revision with an intact text; a story without one is lost. */
export async function repairStories(executor: Executor): Promise<void> {
  await removeLostRevisions(executor);
  await runAll(executor, [toStatement(sql`delete from ${c} where row_id not in (select content_row_id from ${r})`)]);
  const statements: Statement[] = [];
  for (const row of await readStories(executor)) statements.push(await repairStatement(executor, row));
  await runAll(executor, statements);
  await runAll(executor, [
    toStatement(sql`insert or ignore into ${storyTags} (project, tag, story_row_id)
      select ${s.project}, value, ${s.rowId} from ${s}, json_each(${s.tags}) where deleted_at is null`),
  ]);
}

async function removeLostRevisions(executor: Executor): Promise<void> {
  const lost: number[] = [];
  const { columns, at } = selection({ rowId: r.rowId, ...pick(c, "data", "checksum") });
  const all = sql`select ${columns} from ${r} left join ${c} on ${c.rowId} = ${r.contentRowId}`;
  for await (const rows of pagesByRowId(executor, all, r.rowId)) {
    for (const row of rows) {
      const data = row[at.data];
      if (typeof data !== "string" || hashText(data) !== row[at.checksum]) lost.push(Number(row[at.rowId]));
    }
  }
  await runAll(
    executor,
    lost.map((rowId) => toStatement(sql`delete from ${r} where row_id = ${rowId}`)),
  );
}

/** The columns of a story and of its newest revision. Either side may be missing. */
const left = selection({
  ...pick(s, "rowId", "title", "titleIsOwn", "tags", "revision", "createdAt", "updatedAt", "checksum"),
  changeRowId: r.rowId,
  project: r.project,
  id: r.id,
  newestRevision: r.revision,
  contentRowId: r.contentRowId,
  savedAt: r.createdAt,
});

/** All stories with their newest revisions, including stories of which only revisions remain. */
function readStories(executor: Executor) {
  return readAll(
    executor,
    toStatement(sql`with newest as (
        select project, id, max(revision) as revision from ${r} group by project, id
      )
      select ${left.columns} from ${s} full join newest as n on n.project = ${s.project} and n.id = ${s.id}
      left join ${r} on ${r.project} = n.project and ${r.id} = n.id and ${r.revision} = n.revision`),
  );
}

async function repairStatement(executor: Executor, row: Row): Promise<Statement> {
  const story = byName(left, row);
  const isThere = story.rowId !== null;
  if (story.changeRowId === null) return toStatement(sql`delete from ${s} where row_id = ${story.rowId}`);
  const [content] = await readAll(
    executor,
    toStatement(sql`select ${list([c.data, c.checksum])} from ${c} where row_id = ${story.contentRowId}`),
  );
  const [text, sum] = Array.from(content as ArrayLike<unknown>) as [string, string];
  const known =
    isThere && typeof story.title === "string"
      ? { title: story.title, titleIsOwn: Number(story.titleIsOwn) === 1 }
      : undefined;
  const revision = Number(story.newestRevision);
  const common = {
    project: story.project as string,
    id: story.id as string,
    tags: known !== undefined && isTagList(story.tags) ? (story.tags as string) : "[]",
    size: Buffer.byteLength(text),
    revision,
    createdAt: Number(known === undefined ? story.savedAt : story.createdAt),
    updatedAt: Number(known === undefined ? story.savedAt : story.updatedAt),
  };
  const titled = (own: { readonly title: string; readonly titleIsOwn: boolean }) => {
    const values = { ...common, title: own.title, titleIsOwn: own.titleIsOwn ? 1 : 0 };
    return { ...values, checksum: storyChecksum(values, sum) };
  };
  const asStored = known && Number(story.revision) === revision ? titled(known) : undefined;
  const isSound = asStored !== undefined && asStored.checksum === story.checksum;
  const dataTitle = titleIn(JSON.parse(text));
  const next = isSound ? asStored : titled(titleAfter({ ownTitle: undefined, dataTitle }, known));
  const values = { ...next, contentRowId: Number(story.contentRowId), changeRowId: Number(story.changeRowId) };
  if (!isThere) return insertStory(values);
  return updateRow({ ...values, rowId: Number(story.rowId) });
}
