import { sql } from "drizzle-orm";
import { checksumOf, hashText } from "../../areas/checksum.js";
import type { Executor } from "../../areas/executor.js";
import { readAll } from "../../areas/read-all.js";
import { type Statement, toStatement } from "../../areas/statements.js";
import { titleAfter, titleIn } from "../../areas/stories/story.js";
import { stories, storyContents, storyRevisions, storyTags } from "../../schema/index.js";
import { isTagList } from "./rows.js";
import { runAll } from "./run-all.js";

/** Leaves each story at its newest revision whose text is whole; one without any is lost. */
export async function mendStories(executor: Executor): Promise<void> {
  await removeLostRevisions(executor);
  await runAll(executor, [
    toStatement(sql`delete from ${storyContents} where row_id not in (select content_row_id from ${storyRevisions})`),
  ]);
  const statements: Statement[] = [];
  for (const row of await readStories(executor)) statements.push(await mended(executor, row));
  await runAll(executor, statements);
  await runAll(executor, [
    toStatement(sql`insert or ignore into ${storyTags} (project, tag, story_row_id)
      select stories.project, value, stories.row_id from ${stories}, json_each(stories.tags) where deleted_at is null`),
  ]);
}

async function removeLostRevisions(executor: Executor): Promise<void> {
  const lost: number[] = [];
  for (let after = 0; ; ) {
    const rows = await readAll(
      executor,
      toStatement(sql`select r.row_id, c.data, c.checksum from ${storyRevisions} as r
        left join ${storyContents} as c on c.row_id = r.content_row_id where r.row_id > ${after} order by r.row_id limit 100`),
    );
    for (const row of rows) {
      if (typeof row[1] !== "string" || hashText(row[1]) !== row[2]) lost.push(Number(row[0]));
    }
    if (rows.length < 100) break;
    after = Number(rows.at(-1)![0]);
  }
  await runAll(
    executor,
    lost.map((rowId) => toStatement(sql`delete from ${storyRevisions} where row_id = ${rowId}`)),
  );
}

/** All stories, those of which only revisions are left included, each with its newest revision. */
function readStories(executor: Executor) {
  return readAll(
    executor,
    toStatement(sql`with newest as (
        select project, id, max(revision) as revision from ${storyRevisions} group by project, id
      )
      select s.row_id, s.project, s.id, s.title, s.title_is_own, s.tags, s.size, s.revision, s.created_at, s.updated_at,
        s.checksum, r.project, r.id, r.row_id, r.revision, r.content_row_id, r.created_at
      from ${stories} as s full join newest as n on n.project = s.project and n.id = s.id
      left join ${storyRevisions} as r on r.project = n.project and r.id = n.id and r.revision = n.revision`),
  );
}

async function mended(executor: Executor, row: ArrayLike<unknown>): Promise<Statement> {
  const rowId = row[0] === null ? undefined : Number(row[0]);
  if (row[13] === null) return toStatement(sql`delete from ${stories} where row_id = ${rowId!}`);
  const [project, id] = [row[11] as string, row[12] as string];
  const [changeRowId, revision, contentRowId, savedAt] = [13, 14, 15, 16].map((at) => Number(row[at]));
  const [content] = await readAll(
    executor,
    toStatement(sql`select data, checksum from ${storyContents} where row_id = ${contentRowId!}`),
  );
  const text = content![0] as string;
  const known =
    rowId === undefined || typeof row[3] !== "string" ? undefined : { title: row[3], titleIsOwn: Number(row[4]) === 1 };
  const isLast = known !== undefined && Number(row[7]) === revision;
  const size = Buffer.byteLength(text);
  const createdAt = known === undefined ? savedAt! : Number(row[8]);
  const updatedAt = known === undefined ? savedAt! : Number(row[9]);
  const tags = known === undefined || !isTagList(row[5]) ? "[]" : (row[5] as string);
  const checksumFor = (title: string, titleIsOwn: boolean) =>
    checksumOf([
      project,
      id,
      title,
      titleIsOwn ? 1 : 0,
      tags,
      size,
      revision!,
      createdAt,
      updatedAt,
      content![1] as string,
    ]);
  const isSound = isLast && checksumFor(known.title, known.titleIsOwn) === row[10];
  const { title, titleIsOwn } =
    isSound && known !== undefined
      ? known
      : titleAfter({ ownTitle: undefined, dataTitle: titleIn(JSON.parse(text)) }, known);
  const checksum = checksumFor(title, titleIsOwn);
  if (rowId === undefined) {
    return toStatement(sql`insert into ${stories} (project, id, title, title_is_own, tags, size, revision,
        content_row_id, change_row_id, created_at, updated_at, checksum)
      values (${project}, ${id}, ${title}, ${titleIsOwn ? 1 : 0}, ${tags}, ${size}, ${revision!}, ${contentRowId!},
        ${changeRowId!}, ${createdAt}, ${updatedAt}, ${checksum})`);
  }
  return toStatement(sql`update ${stories} set title = ${title}, title_is_own = ${titleIsOwn ? 1 : 0}, tags = ${tags},
    size = ${size}, revision = ${revision!}, content_row_id = ${contentRowId!}, change_row_id = ${changeRowId!},
    created_at = ${createdAt}, updated_at = ${updatedAt}, checksum = ${checksum}, indexed_revision = 0
    where row_id = ${rowId}`);
}
