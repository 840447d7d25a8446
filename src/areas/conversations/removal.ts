import { sql } from "drizzle-orm";
import {
  ALL_VISIBLE,
  conversationSummaries,
  conversations,
  messageRefs,
  messages,
} from "../../schema/conversations.js";
import type { RepositoryContext } from "../context.js";
import { type Executor, scalar } from "../executor.js";
import { prepareStatement, type Statement, selection, set, touch } from "../statements.js";

const c = conversations;
const m = messages;
const placeholder = sql.placeholder;
const isId = sql`${c.project} = ${placeholder("project")} and ${c.id} = ${placeholder("id")}`;
const isRow = sql`${c.rowId} = ${placeholder("rowId")} and +${c.project} = ${placeholder("project")}`;

const softDelete = prepareStatement(
  () => sql`update ${c} set ${touch(c.deletedAt, c.createdAt)}, ${touch(c.updatedAt, c.createdAt)}
    where ${isId} and ${c.deletedAt} is null returning row_id`,
);
const undelete = prepareStatement(
  () => sql`update ${c} set ${set(c.deletedAt, null)}, ${touch(c.updatedAt, c.createdAt)}
    where ${isId} and ${c.deletedAt} is not null and ${c.purgedAt} is null returning row_id`,
);
const empty = prepareStatement(
  () => sql`update ${c} set ${set(c.deletedAt, placeholder("now"))}, ${set(c.purgedAt, placeholder("now"))},
    ${set(c.title, null)}, ${set(c.tags, "[]")}, ${set(c.metadata, "{}")}
    where ${isId} and ${c.purgedAt} is null returning row_id`,
);
const deleteSummaries = prepareStatement(
  () => sql`delete from ${conversationSummaries}
  where ${conversationSummaries.conversationRowId} = ${placeholder("rowId")} and +${conversationSummaries.project} = ${placeholder("project")}`,
);

const ancestor = selection({ rowId: sql`row_id`, isPurged: sql`purged_at is not null` });
/** The rows of a conversation and its ancestors, deleted and purged ones included, the oldest ancestor last. */
const selectLine = prepareStatement(
  () => sql`with recursive line (row_id, parent_row_id, purged_at, depth) as (
    select ${c.rowId}, ${c.parentRowId}, ${c.purgedAt}, 0 from ${c} where ${isRow}
    union all select ${c.rowId}, ${c.parentRowId}, ${c.purgedAt}, depth + 1 from line join ${c} on ${c.rowId} = line.parent_row_id
  ) select ${ancestor.columns} from line order by depth`,
);

/** Sets `visible_seq` to the last message that the forks of a deleted conversation, or the forks of deleted forks, show. */
const refreshVisible = prepareStatement(
  () => sql`update ${c} set visible_seq = case when deleted_at is null then ${sql.raw(String(ALL_VISIBLE))}
    else coalesce((select max(case when fork.deleted_at is null then fork.prefix_seq else min(fork.prefix_seq, fork.visible_seq) end)
      from ${c} as fork where fork.parent_row_id = ${c.rowId}), 0) end where ${isRow}`,
);

const selectNeeded = prepareStatement(
  () => sql`select coalesce(max(${c.prefixSeq}), 0) from ${c} where ${c.parentRowId} = ${placeholder("rowId")}`,
);
const surplus = sql`${m.conversationRowId} = ${placeholder("rowId")} and ${m.seq} > ${placeholder("needed")}
  and +${m.project} = ${placeholder("project")}`;
const deleteRefs = prepareStatement(
  () =>
    sql`delete from ${messageRefs} where ${messageRefs.messageRowId} in (select ${m.rowId} from ${m} where ${surplus})`,
);
const deleteMessages = prepareStatement(() => sql`delete from ${m} where ${surplus}`);
const deleteShell = prepareStatement(() => sql`delete from ${c} where ${isRow}`);

/** Hides a conversation; its forks still show the messages that they share. False if there is none. */
export function deleteConversation(context: RepositoryContext, executor: Executor, id: string): Promise<boolean> {
  return changeAndRefresh(context, executor, softDelete({ project: context.project, id, now: context.now() }));
}

/** Undoes `deleteConversation`. False if there is no deleted conversation with this id. */
export function restoreConversation(context: RepositoryContext, executor: Executor, id: string): Promise<boolean> {
  return changeAndRefresh(context, executor, undelete({ project: context.project, id, now: context.now() }));
}

async function changeAndRefresh(context: RepositoryContext, executor: Executor, change: Statement): Promise<boolean> {
  const { rows } = await executor.execute(change);
  if (rows[0] === undefined) return false;
  await refreshVisibility(context, executor, Number(rows[0][0]));
  return true;
}

/** Updates the visible part of a conversation and its ancestors, after it or a fork was deleted or restored. */
export async function refreshVisibility(
  { project }: RepositoryContext,
  executor: Executor,
  rowId: number,
): Promise<void> {
  const { rows } = await executor.execute(selectLine({ project, rowId }));
  await executor.batch(rows.map((row) => refreshVisible({ project, rowId: Number(row[ancestor.at.rowId]) })));
}

/**
 * Removes a conversation permanently, with its messages, their refs and its summaries. If forks show its messages, these
 * stay in a row without title, tags and metadata, which the purge of the last such fork removes. False if there is none.
 */
export async function purgeConversation(context: RepositoryContext, executor: Executor, id: string): Promise<boolean> {
  const { project, now } = context;
  const { rows } = await executor.execute(empty({ project, id, now: now() }));
  if (rows[0] === undefined) return false;
  const rowId = Number(rows[0][0]);
  await executor.execute(deleteSummaries({ project, rowId }));
  const { at } = ancestor;
  for (const row of (await executor.execute(selectLine({ project, rowId }))).rows) {
    const own = Number(row[at.rowId]);
    if (Number(row[at.isPurged]) !== 1) {
      await refreshVisibility(context, executor, own);
      break;
    }
    const needed = Number(scalar(await executor.execute(selectNeeded({ rowId: own }))));
    const values = { project, rowId: own, needed };
    await executor.batch([deleteRefs(values), deleteMessages(values)]);
    await executor.execute(needed === 0 ? deleteShell(values) : refreshVisible(values));
  }
  return true;
}
