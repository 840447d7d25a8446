import { sql } from "drizzle-orm";
import { checksumOfMessage, checksumWithSeq, messageParts, toStoredDraft } from "../../areas/conversations/record.js";
import type { Executor } from "../../areas/executor.js";
import { readAll } from "../../areas/read-all.js";
import { AREAS } from "../../areas/registry.js";
import { type Statement, selection, toStatement } from "../../areas/statements.js";
import { quoteName } from "../../client/sql/quote.js";
import { ALL_VISIBLE } from "../../schema/conversations.js";
import {
  conversationSummaries,
  conversations,
  graphEdges,
  graphLabels,
  graphNodes,
  memories,
  memoryEmbeddings,
  messageRefs,
  messages,
} from "../../schema/index.js";
import type { ConversationIds } from "./copy.js";
import { repairConversations } from "./repair-conversations.js";
import { repairStories } from "./repair-stories.js";
import { runAll } from "./run-all.js";

/**
 * Makes a sound database of the copied rows: removes records that fail their checksums and rows that refer to lost ones,
 * and closes the gaps in conversations and stories.
 */
export async function repairCopy(executor: Executor, conversationIds: ConversationIds): Promise<void> {
  await remakeConversations(executor, conversationIds);
  await removeDamaged(executor);
  await run(executor, [
    sql`delete from ${memoryEmbeddings} where memory_row_id not in (select row_id from ${memories})`,
    sql`update ${memories} set embedding_row_id = (select max(e.row_id) from ${memoryEmbeddings} as e
      where e.memory_row_id = memories.row_id)
      where embedding_row_id is not null and embedding_row_id not in (select row_id from ${memoryEmbeddings})`,
    sql`delete from ${messageRefs} where message_row_id not in (select row_id from ${messages})`,
    sql`delete from ${conversationSummaries} where conversation_row_id not in (select row_id from ${conversations})`,
    sql`delete from ${graphLabels} where not exists
      (select 1 from ${graphNodes} as n where n.row_id = node_row and n.project = graph_labels.project)`,
    sql`delete from ${graphEdges} where
      not exists (select 1 from ${graphNodes} as n where n.row_id = from_row and n.project = graph_edges.project) or
      not exists (select 1 from ${graphNodes} as n where n.row_id = to_row and n.project = graph_edges.project)`,
  ]);
  await run(executor, [
    // The checksums of the messages include the project, so a conversation with another one is damaged.
    sql`update or ignore ${conversations} set project = (select m.project from ${messages} as m
      where m.conversation_row_id = conversations.row_id limit 1)
      where exists (select 1 from ${messages} as m
        where m.conversation_row_id = conversations.row_id and m.project <> conversations.project)`,
    // Only a deleted conversation hides messages.
    sql`update ${conversations} set visible_seq = ${ALL_VISIBLE} where deleted_at is null and visible_seq <> ${ALL_VISIBLE}`,
  ]);
  await repairConversations(executor);
  await repairStories(executor);
}

async function run(executor: Executor, queries: readonly ReturnType<typeof sql>[]): Promise<void> {
  await runAll(
    executor,
    queries.map((query) => toStatement(query)),
  );
}

/** Messages whose conversation is lost get it back, under the id that its index knows or under a new one. */
async function remakeConversations(executor: Executor, ids: ConversationIds): Promise<void> {
  const rows = await readAll(
    executor,
    toStatement(sql`select conversation_row_id as row_id, project, min(created_at) as first, max(updated_at) as last from ${messages}
      where conversation_row_id not in (select row_id from ${conversations}) group by 1`),
  );
  for (const row of rows) {
    const rowId = Number(row.row_id);
    const known = ids.byRowId.get(BigInt(rowId));
    if (known === undefined && ids.areAll) {
      // The row id in the messages is damaged.
      await run(executor, [sql`delete from ${messages} where conversation_row_id = ${rowId}`]);
      continue;
    }
    if (known !== undefined && (await giveRowId(executor, known, rowId))) continue;
    const project = known?.project ?? (row.project as string);
    const id = known?.id ?? (await freeId(executor, project, `salvaged-${rowId}`));
    await run(executor, [
      sql`insert into ${conversations} (row_id, project, id, tags, metadata, prefix_seq, visible_seq, created_at, updated_at)
        values (${rowId}, ${project}, ${id}, '[]', '{}', 0, ${ALL_VISIBLE}, ${Number(row.first)}, ${Number(row.last)})`,
    ]);
    // The checksums of the messages include the id, so without it they prove nothing.
    if (known === undefined) await renewChecksums(executor, rowId, id);
  }
}

/** If the conversation exists, its row id was damaged: gives it the row id that its messages name. */
async function giveRowId(
  executor: Executor,
  { project, id }: { readonly project: string; readonly id: string },
  rowId: number,
): Promise<boolean> {
  const change = sql`update ${conversations} set row_id = ${rowId} where project = ${project} and id = ${id}`;
  return (await executor.execute(toStatement(change))).rowsAffected > 0;
}

async function freeId(executor: Executor, project: string, id: string): Promise<string> {
  for (let count = 1; ; count++) {
    const name = count === 1 ? id : `${id}-${count}`;
    const taken = sql`select 1 from ${conversations} where project = ${project} and id = ${name}`;
    if ((await executor.execute(toStatement(taken))).rows.length === 0) return name;
  }
}

const { conversationId: _, ...own } = messageParts;
const renewed = selection({ ...own, project: messages.project });

async function renewChecksums(executor: Executor, conversationRowId: number, conversationId: string): Promise<void> {
  const rows = await readAll(
    executor,
    toStatement(sql`select ${renewed.columns} from ${messages} where conversation_row_id = ${conversationRowId}`),
  );
  const { at } = renewed;
  const statements = rows.map((row) => {
    const hash = checksumOfMessage(row[at.project] as string, conversationId, toStoredDraft(row));
    const checksum = checksumWithSeq(hash, Number(row[at.seq]));
    return toStatement(sql`update ${messages} set checksum = ${checksum} where row_id = ${Number(row[at.rowId])}`);
  });
  await runAll(executor, statements);
}

/** Removes records that fail their checksums, except stories: an older revision may replace the last one. */
async function removeDamaged(executor: Executor): Promise<void> {
  const gone: Statement[] = [];
  for (const area of AREAS.filter(({ name }) => name !== "stories")) {
    for await (const { records } of area.damaged(executor)) {
      for (const { table, rowId, part } of records) {
        // What was written in place of JSON can be put right by hand.
        if (part === "search text" || part === "JSON") continue;
        gone.push(toStatement(sql`delete from ${sql.raw(quoteName(table))} where row_id = ${rowId}`));
      }
    }
  }
  await runAll(executor, gone);
}
