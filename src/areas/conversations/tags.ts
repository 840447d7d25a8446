import { sql } from "drizzle-orm";
import { conversations, conversationTags, messages } from "../../schema/conversations.js";
import { expectText } from "../../shared/expectation.js";
import { expectId, MAX_NAME_CHARS } from "../arguments.js";
import { checkEach } from "../batch.js";
import type { RepositoryContext } from "../context.js";
import type { Executor } from "../executor.js";
import { parseList } from "../json.js";
import { prepareStatement, selection, set, touch } from "../statements.js";
import { findMessage } from "./chain.js";
import { toTags } from "./record.js";
import { changeMessage } from "./update.js";

/** How many conversations and messages carry a tag. */
export interface TagCount {
  readonly tag: string;
  readonly count: number;
}

const c = conversations;
const m = messages;
const t = conversationTags;
const placeholder = sql.placeholder;
const isLive = sql`${c.project} = ${placeholder("project")} and ${c.id} = ${placeholder("id")} and ${c.deletedAt} is null`;

const selectTags = prepareStatement(() => sql`select ${c.tags} from ${c} where ${isLive}`);
const updateTags = prepareStatement(
  () => sql`update ${c} set ${set(c.tags, placeholder("tags"))}, ${touch(c.updatedAt, c.createdAt)} where ${isLive}`,
);
const counted = selection({ tag: t.tag, count: sql`count(*)` });
const selectCounts = prepareStatement(
  () => sql`select ${counted.columns} from ${t}
  join ${c} on ${c.rowId} = ${t.conversationRowId} left join ${m} on ${m.rowId} = ${t.messageRowId}
  where ${t.project} = ${placeholder("project")}
    and case when ${t.messageRowId} = 0 then ${c.deletedAt} is null else ${m.seq} <= ${c.visibleSeq} end
  group by 1 order by 2 desc, 1`,
);

interface TagChange {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/**
 * Replaces the tags of the conversation or message with this id by the result of `change`. Resolves to the tags before and
 * after; undefined if there is neither.
 */
export async function changeTags(
  context: RepositoryContext,
  executor: Executor,
  id: string,
  change: (tags: readonly string[]) => readonly string[],
): Promise<TagChange | undefined> {
  const { project, now } = context;
  const [row] = (await executor.execute(selectTags({ project, id }))).rows;
  if (row === undefined) return changeTagsOfMessage(context, executor, id, change);
  const before = parseList(row[0], "conversations", id);
  const after = change(before);
  if (after.length !== before.length) {
    await executor.execute(updateTags({ project, id, tags: JSON.stringify(after), now: now() }));
  }
  return { before, after };
}

async function changeTagsOfMessage(
  context: RepositoryContext,
  executor: Executor,
  id: string,
  change: (tags: readonly string[]) => readonly string[],
): Promise<TagChange | undefined> {
  const message = await findMessage(context, executor, id);
  if (message === undefined) return undefined;
  const after = change(message.tags);
  if (after.length !== message.tags.length) {
    await changeMessage(context, executor, id, { tags: JSON.stringify(after) }, undefined, true);
  }
  return { before: message.tags, after };
}

export async function countTags({ project, executor }: RepositoryContext): Promise<TagCount[]> {
  const { rows } = await executor.execute(selectCounts({ project }));
  const { at } = counted;
  return rows.map((row) => ({ tag: row[at.tag] as string, count: Number(row[at.count]) }));
}

/** Checks the id and the tags, of which there must be one; throws TypeError or RangeError. */
export function expectTags(id: string, tags: readonly string[]): string[] {
  expectId(id);
  checkEach(tags, (tag) => expectText("tags", tag, MAX_NAME_CHARS));
  const distinct = toTags("tags", tags);
  if (distinct.length === 0) throw new RangeError("Expected `tags` to be at least one tag, got none");
  return distinct;
}
