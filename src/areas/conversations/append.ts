import { sql } from "drizzle-orm";
import { conversations, messages } from "../../schema/conversations.js";
import { StorageError } from "../../shared/errors.js";
import { atRecord } from "../batch.js";
import type { RepositoryContext } from "../context.js";
import { type Executor, finishing } from "../executor.js";
import { currentExecutor } from "../optimistic.js";
import { notFound, runAll } from "../repository.js";
import { inParts, prepareStatement, type Statement, selection } from "../statements.js";
import { withChain } from "./chain.js";
import { insertMessages, messageRows, part, toRow } from "./message-rows.js";
import {
  type AppendedMessage,
  deriveLong,
  draftToMessage,
  haveLong,
  type Message,
  type MessageDraft,
  messageParts,
  sentHashOf,
  toMessage,
} from "./record.js";
import { MESSAGE_TARGET } from "./search.js";

const c = conversations;
const m = messages;
const placeholder = sql.placeholder;

const owner = sql`owner as materialized (
    select ${c.rowId} as row_id, coalesce((select max(${m.seq}) from ${m} where ${m.conversationRowId} = ${c.rowId}), ${c.prefixSeq}) as last_seq
    from ${c} where ${c.project} = ${placeholder("project")} and ${c.id} = ${placeholder("id")} and ${c.deletedAt} is null)`;
/**
 * Stores all messages in one statement, which also finds the next seq. A thousand rows then take one call of SQLite, and a
 * server needs one round trip. The statement can share its commit with others that wait. The index is cheaper too, because
 * FTS5 writes out its terms at the end of every statement.
 */
const appendRows = prepareStatement(
  () => sql`with ${owner}
  ${insertMessages(sql`j.value`, sql`owner.last_seq + 1 + j.key`)}
  from ${messageRows} as j cross join owner where true returning seq`,
);

const given = (name: Parameters<typeof part>[1]) => part(sql`j.value`, name);
const stored = selection({ id: sql`id`, seq: sql`seq` });

/**
 * The same without the messages whose client ids the conversation has already, in its own or its shared part. It stores
 * nothing if one of them was sent with another role, content or metadata.
 */
const appendNewRows = prepareStatement(
  () => sql`${withChain}, ${owner}, known as materialized (
    select j.key as key, case when ${m.sentHash} is null
        then ${m.role} = ${given("role")} and ${m.content} = ${given("content")} and ${m.metadata} = ${given("metadata")}
        else ${m.sentHash} = ${given("sentHash")} end as is_same
    from json_each(${placeholder("rows")}) as j cross join chain cross join ${m}
      on ${m.conversationRowId} = chain.row_id and ${m.clientId} = ${given("clientId")} and ${m.seq} <= chain.up_to),
  fresh as materialized (
    select j.value as value, row_number() over (order by j.key) as place from json_each(${placeholder("rows")}) as j
    where j.key not in (select key from known))
  ${insertMessages(sql`fresh.value`, sql`owner.last_seq + fresh.place`)}
  from owner cross join fresh where not exists (select 1 from known where not is_same) returning ${stored.columns}`,
);

const sent = selection({ ...messageParts, sentHash: m.sentHash });
const selectByClientId = prepareStatement(
  () => sql`${withChain} select ${sent.columns} from chain
  cross join ${m} on ${m.conversationRowId} = chain.row_id and ${m.seq} <= chain.up_to
    and ${m.clientId} in (select value from json_each(${placeholder("clientIds")}))
  join ${c} on ${c.rowId} = ${m.conversationRowId}`,
);

interface Appended {
  /** A record for each draft. */
  readonly messages: AppendedMessage[];
  /** The ids of those that are new. */
  readonly stored: string[];
}

/**
 * Stores one or more drafts at the end of a conversation. If a `clientId` is there already, or comes twice, the answer has
 * the message that was stored first. Rejects with `NOT_FOUND`, and with `CONFLICT` if that message was sent differently.
 */
export async function appendMessages(
  context: RepositoryContext,
  executor: Executor,
  conversationId: string,
  drafts: readonly MessageDraft[],
): Promise<Appended> {
  const isRepeatable = drafts.some(({ clientId }) => clientId !== null);
  const append = isRepeatable ? appendNew : appendAll;
  if (haveLong(drafts)) {
    return finishing(executor, async () =>
      append(context, executor, conversationId, await deriveLong(context.project, conversationId, drafts)),
    );
  }
  const { indexer } = context;
  const before = indexer?.defer(MESSAGE_TARGET);
  const appended = await append(context, executor, conversationId, drafts, before);
  if (before !== undefined) for (const _ of appended.stored) indexer?.stored(MESSAGE_TARGET);
  return appended;
}

/** Stores drafts without client ids, in order: all of them, or none. */
async function appendAll(
  context: RepositoryContext,
  executor: Executor,
  conversationId: string,
  drafts: readonly MessageDraft[],
  before?: readonly Statement[],
): Promise<Appended> {
  const results = await runAll(executor, appendStatements(appendRows, context, conversationId, drafts, before));
  const seqs = results.flatMap(({ rows }) => rows.map((row) => Number(row[0])));
  if (seqs.length === 0) throw notFound(context, "conversation", conversationId);
  // SQLite does not promise an order of the rows that a statement returns.
  const first = seqs.reduce((least, seq) => Math.min(least, seq));
  return {
    messages: drafts.map((draft, place) => draftToMessage(conversationId, first + place, draft)),
    stored: drafts.map(({ id }) => id),
  };
}

async function appendNew(
  context: RepositoryContext,
  executor: Executor,
  conversationId: string,
  drafts: readonly MessageDraft[],
  before?: readonly Statement[],
): Promise<Appended> {
  const place = (error: unknown, index: number) =>
    drafts.length > 1 ? atRecord(error, { index, id: drafts[index]!.id }) : error;
  const distinct = withoutRepeated(drafts, place);
  const check = (draft: MessageDraft, known: Known | undefined) => {
    if (isOther(draft, known)) throw place(otherMessage(draft.clientId!, known!.message.id), drafts.indexOf(draft));
  };
  const statements = appendStatements(appendNewRows, context, conversationId, distinct, before);
  const clientIds = distinct.flatMap(({ clientId }) => clientId ?? []);
  const results =
    statements.length === 1
      ? [await executor.execute(statements[0]!)]
      : // Each statement stores its part, so conflicts must be known before the first one runs.
        await executor.atomically(async (inner) => {
          const known = await findByClientId(context, inner, conversationId, clientIds);
          for (const draft of distinct) check(draft, known.get(draft.clientId));
          return inner.batch(statements);
        });
  const { at } = stored;
  const seqs = new Map<string, number>();
  for (const { rows } of results) for (const row of rows) seqs.set(row[at.id] as string, Number(row[at.seq]));
  const unstored = distinct.filter(({ id }) => !seqs.has(id));
  const known = unstored.length > 0 ? await findRepeated(context, executor, conversationId, unstored) : NONE;
  const messages = new Map<MessageDraft | string, AppendedMessage>();
  for (const draft of distinct) {
    const seq = seqs.get(draft.id);
    const earlier = seq === undefined ? known.get(draft.clientId) : undefined;
    check(draft, earlier);
    if (seq !== undefined) messages.set(draft.clientId ?? draft, draftToMessage(conversationId, seq, draft));
    else if (earlier !== undefined) messages.set(draft.clientId ?? draft, { ...earlier.message, repeated: true });
  }
  if (messages.size < distinct.length) throw notFound(context, "conversation", conversationId);
  const isFirst = new Set(distinct);
  return {
    messages: drafts.map((draft): AppendedMessage => {
      const message = messages.get(draft.clientId ?? draft)!;
      return isFirst.has(draft) ? message : { ...message, repeated: true };
    }),
    stored: distinct.flatMap(({ id }) => (seqs.has(id) ? [id] : [])),
  };
}

/**
 * The stored messages with the client ids of `drafts`, which the statement did not store again. If a read replica lacks one
 * of them, the primary is asked.
 */
async function findRepeated(
  context: RepositoryContext,
  executor: Executor,
  conversationId: string,
  drafts: readonly MessageDraft[],
): Promise<ReadonlyMap<string | null, Known>> {
  const clientIds = drafts.flatMap(({ clientId }) => clientId ?? []);
  const known = await findByClientId(context, executor, conversationId, clientIds);
  const isComplete = drafts.every(({ clientId }) => known.has(clientId));
  return isComplete ? known : findByClientId(context, currentExecutor(executor), conversationId, clientIds);
}

interface Known {
  readonly message: Message;
  readonly sentHash: string | null;
}

const NONE: ReadonlyMap<string | null, Known> = new Map();

/** Whether a client id belongs to another message. Rows of earlier versions have no hash; their present values count. */
function isOther(draft: MessageDraft, known: Known | undefined): boolean {
  if (known === undefined) return false;
  const { message, sentHash } = known;
  const { role, content } = message;
  const present = () => [role, content, JSON.stringify(message.metadata)];
  const given = () => [draft.role, draft.content, draft.metadata];
  return sentHash === null ? !isEqual(present(), given()) : sentHash !== sentHashOf(draft);
}

function isEqual(one: readonly string[], other: readonly string[]): boolean {
  return one.every((value, index) => value === other[index]);
}

function otherMessage(clientId: string, id: string): StorageError {
  return new StorageError(
    "CONFLICT",
    `The clientId ${JSON.stringify(clientId)} belongs to message ${JSON.stringify(id)}, which was sent with other content, role or metadata: give the new message another clientId. Nothing was stored`,
    { table: "messages", columns: ["client_id"] },
  );
}

async function findByClientId(
  context: RepositoryContext,
  executor: Executor,
  id: string,
  clientIds: readonly string[],
): Promise<Map<string | null, Known>> {
  const { project } = context;
  const { rows } = await executor.execute(selectByClientId({ project, id, clientIds: JSON.stringify(clientIds) }));
  return new Map(
    rows.map((row) => {
      const message = toMessage(row);
      return [message.clientId, { message, sentHash: row[sent.at.sentHash] as string | null }];
    }),
  );
}

/** Keeps the first draft of each client id. Throws `CONFLICT` if another one of the same client id differs. */
export function withoutRepeated(
  drafts: readonly MessageDraft[],
  place: (error: unknown, index: number) => unknown,
): MessageDraft[] {
  const first = new Map<MessageDraft | string, MessageDraft>();
  for (const [index, draft] of drafts.entries()) {
    const known = first.get(draft.clientId ?? draft);
    if (known === undefined) first.set(draft.clientId ?? draft, draft);
    else if (sentHashOf(known) !== sentHashOf(draft)) throw place(otherMessage(draft.clientId!, known.id), index);
  }
  return [...first.values()];
}

/** The statements that append, in order. With those `before` them, the messages are given no terms. */
function appendStatements(
  append: typeof appendRows,
  { project, now }: RepositoryContext,
  id: string,
  drafts: readonly MessageDraft[],
  before: readonly Statement[] | undefined,
): Statement[] {
  const time = now();
  const rows = drafts.map((draft) => toRow(project, id, draft, before !== undefined));
  const appends = inParts(rows, (part) => append({ project, id, rows: JSON.stringify(part), now: time }));
  return [...(before ?? []), ...appends];
}
