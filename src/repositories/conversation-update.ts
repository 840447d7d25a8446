import { sql } from "drizzle-orm";
import { messages } from "../schema/conversations.js";
import { checksumWithSeq, derivedOf, type Message, messageToDraft } from "./conversation-record.js";
import type { Executor, RepositoryContext } from "./executor.js";
import { prepareStatement, set } from "./statements.js";

const m = messages;
const placeholder = sql.placeholder;

const update = prepareStatement(
  sql`update ${m} set ${set(m.content, placeholder("content"))}, ${set(m.metadata, placeholder("metadata"))},
    ${set(m.tags, placeholder("tags"))}, ${set(m.updatedAt, placeholder("now"))}, ${set(m.checksum, placeholder("checksum"))},
    ${set(m.searchText, placeholder("searchText"))}
    where ${m.project} = ${placeholder("project")} and ${m.id} = ${placeholder("id")}`,
);

/** Stores a record anew, with its checksum and its index terms; forks show the same row. */
export async function updateMessageRow(
  { project, now }: RepositoryContext,
  executor: Executor,
  message: Message,
): Promise<void> {
  const { id, content, metadata, tags } = messageToDraft(message);
  const [checksum, searchText] = derivedOf(project, message.conversationId, messageToDraft(message));
  await executor.execute(
    update({
      project,
      id,
      content,
      metadata,
      tags,
      now: now(),
      checksum: checksumWithSeq(checksum, message.seq),
      searchText,
    }),
  );
}
