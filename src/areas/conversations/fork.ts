import { sql } from "drizzle-orm";
import { ALL_VISIBLE, conversations } from "../../schema/conversations.js";
import { expectation, expectInteger, expectText } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectId } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import type { Executor } from "../executor.js";
import { newId } from "../ids.js";
import { notFound } from "../repository.js";
import { prepareInsert, prepareStatement, type Statement } from "../statements.js";
import { type Chain, requireChain } from "./chain.js";
import {
  type Conversation,
  type ConversationDraft,
  conversationColumns,
  MAX_TITLE_CHARS,
  toConversation,
} from "./record.js";

/** The options of `fork`. */
export interface ForkOptions {
  /** The last message to share; 0 for none. @default all there are */
  readonly atSeq?: number | undefined;
  /** The title of the fork. @default the title of what is forked */
  readonly title?: string | null | undefined;
  /** The id of the fork. @default a new UUIDv7 */
  readonly id?: string | undefined;
}

/** Where a conversation begins: the ancestor that owns the last message it shares, and that message's seq. */
export interface Origin {
  readonly parentRowId: number | null;
  readonly prefixSeq: number;
  readonly forkedFrom: { readonly id: string; readonly seq: number } | null;
}

export const NO_ORIGIN: Origin = { parentRowId: null, prefixSeq: 0, forkedFrom: null };

const c = conversations;
const insertRow = prepareInsert(c, [
  c.project,
  c.id,
  c.title,
  c.tags,
  c.metadata,
  c.parentRowId,
  c.prefixSeq,
  c.forkedFromId,
  c.forkedFromSeq,
  c.visibleSeq,
  c.createdAt,
  c.updatedAt,
]);
const selectOne = prepareStatement(
  () => sql`select ${conversationColumns} from ${c}
  where ${c.project} = ${sql.placeholder("project")} and ${c.id} = ${sql.placeholder("id")} and ${c.purgedAt} is null`,
);

/** The statement that stores a draft as a new conversation. */
export function insertConversationStatement(
  { project, now }: RepositoryContext,
  { id, title, tags, metadata, createdAt }: ConversationDraft,
  { parentRowId, prefixSeq, forkedFrom }: Origin = NO_ORIGIN,
): Statement {
  const from = [forkedFrom?.id ?? null, forkedFrom?.seq ?? null];
  return insertRow([
    project,
    id,
    title,
    tags,
    metadata,
    parentRowId,
    prefixSeq,
    ...from,
    ALL_VISIBLE,
    createdAt,
    Math.max(createdAt, now()),
  ]);
}

/** A conversation, deleted or not. */
export async function findConversation(
  { project }: RepositoryContext,
  executor: Executor,
  id: string,
): Promise<Conversation | undefined> {
  const { rows } = await executor.execute(selectOne({ project, id }));
  return rows[0] === undefined ? undefined : toConversation(project, rows[0]);
}

/** The origin of a fork that shares messages up to `seq`. Its parent is the conversation that wrote the last one. */
export function originAt({ id, segments }: Chain, seq: number): Origin {
  const parent = segments.find(({ after, upTo }) => after < seq && seq <= upTo);
  return { parentRowId: parent?.rowId ?? null, prefixSeq: seq, forkedFrom: { id, seq } };
}

/** Checks options; throws TypeError or RangeError. */
export function toForkOptions({ repair }: RepositoryContext, options: ForkOptions): ForkOptions {
  expectKeys("fork", options, ["atSeq", "title", "id"]);
  const { atSeq, id } = options;
  const title = repair(options.title);
  if (atSeq !== undefined) expectInteger("atSeq", atSeq, 0);
  if (title !== undefined && title !== null) expectText("title", title, MAX_TITLE_CHARS, 0);
  if (id !== undefined) expectId(id);
  return { atSeq, title, id };
}

/** Stores one row, independent of the length of the conversation. Rejects with `NOT_FOUND`, and with RangeError past the last message. */
export async function forkConversation(
  context: RepositoryContext,
  executor: Executor,
  id: string,
  options: ForkOptions,
): Promise<Conversation> {
  const chain = await requireChain(context, executor, id);
  const source = await findConversation(context, executor, id);
  if (source === undefined) throw notFound(context, "conversation", id);
  const { atSeq = source.messageCount, title = source.title, id: forkId = newId() } = options;
  if (atSeq > source.messageCount) {
    throw new RangeError(expectation("atSeq", `at most ${source.messageCount}, the last message`, atSeq));
  }
  const draft = { id: forkId, title, tags: "[]", metadata: "{}", createdAt: context.now() };
  await executor.execute(insertConversationStatement(context, draft, originAt(chain, atSeq)));
  return (await findConversation(context, executor, forkId))!;
}
