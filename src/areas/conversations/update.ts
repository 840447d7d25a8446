import { sql } from "drizzle-orm";
import { messages } from "../../schema/conversations.js";
import type { RepositoryContext } from "../context.js";
import type { Executor } from "../executor.js";
import { prepareStatement, set } from "../statements.js";
import { checksumOfMessage, checksumWithSeq, type Message, messageToDraft } from "./record.js";

const m = messages;
const placeholder = sql.placeholder;

const isId = sql`where ${m.project} = ${placeholder("project")} and ${m.id} = ${placeholder("id")}`;
const about = sql`${set(m.metadata, placeholder("metadata"))}, ${set(m.tags, placeholder("tags"))},
  ${set(m.updatedAt, placeholder("now"))}, ${set(m.checksum, placeholder("checksum"))}`;
const updateAll = prepareStatement(
  sql`update ${m} set ${set(m.content, placeholder("content"))}, ${set(m.searchText, placeholder("searchText"))}, ${about} ${isId}`,
);
/** The content and its index terms stay: those of a long one take a while to make and to store. */
const updateAbout = prepareStatement(sql`update ${m} set ${about} ${isId}`);

/** Stores a changed record with its checksum; forks show the same row. With index terms, the content is new too. */
export async function updateMessageRow(
  { project, now }: RepositoryContext,
  executor: Executor,
  message: Message,
  searchText?: string,
): Promise<void> {
  const draft = messageToDraft(message);
  const { id, content, metadata, tags } = draft;
  const checksum = checksumWithSeq(checksumOfMessage(project, message.conversationId, draft), message.seq);
  const values = { project, id, metadata, tags, now: now(), checksum };
  await executor.execute(
    searchText === undefined ? updateAbout(values) : updateAll({ ...values, content, searchText }),
  );
}
