import type { ResultSet } from "@libsql/client";
import { type SQL, sql } from "drizzle-orm";
import { conversations, messages } from "../schema/conversations.js";
import { findChain, noConversation, withChain } from "./conversation-chain.js";
import {
  derivedOf,
  draftToMessage,
  type Message,
  type MessageDraft,
  messageColumns,
  toMessage,
} from "./conversation-record.js";
import type { Executor, RepositoryContext } from "./executor.js";
import { inParts, jsonRows, prepareStatement, type Statement } from "./statements.js";

const c = conversations;
const m = messages;
const placeholder = sql.placeholder;

const owner = sql`owner as materialized (
    select ${c.rowId} as row_id, coalesce((select max(${m.seq}) from ${m} where ${m.conversationRowId} = ${c.rowId}), ${c.prefixSeq}) as last_seq
    from ${c} where ${c.project} = ${placeholder("project")} and ${c.id} = ${placeholder("id")} and ${c.deletedAt} is null)`;
export const messageColumnNames = sql.join(
  [
    m.project,
    m.conversationRowId,
    m.seq,
    m.id,
    m.role,
    m.content,
    m.metadata,
    m.tags,
    m.clientId,
    m.createdAt,
    m.updatedAt,
    m.checksum,
    m.searchText,
  ].map((column) => sql.identifier(column.name)),
  sql`, `,
);
/** What goes into them: of `owner`, a table with its row_id, and of a `row` of `toRow`. */
export const messageValues = (
  seq: SQL,
  row: SQL,
) => sql`${placeholder("project")}, owner.row_id, ${seq}, ${row} ->> 0, ${row} ->> 1,
  ${row} ->> 2, ${row} ->> 3, ${row} ->> 4, ${row} ->> 5, ${row} ->> 6, ${placeholder("now")}, (${row} ->> 7) || '.' || (${seq}), ${row} ->> 8`;

/**
 * All messages in one statement, with the seq that the database finds next: one call of SQLite a thousand rows, a
 * single message that shares its commit with others that wait, and one round trip to a server. Many rows in one
 * statement also cost the index less than a statement each: at the end of every one FTS5 writes out what it has gathered.
 */
const appendRows = prepareStatement(sql`with ${owner}
  insert into ${m} (${messageColumnNames}) select ${messageValues(sql`owner.last_seq + 1 + j.key`, sql`j.value`)}
  from ${jsonRows("rows")} as j cross join owner where true returning seq`);

/** The same, leaving out what the conversation (what it shares with its ancestors included) has by its client id. */
const appendNewRows = prepareStatement(sql`${withChain}, ${owner}, fresh as materialized (
    select j.value as value, row_number() over (order by j.key) as place from json_each(${placeholder("rows")}) as j
    where j.value ->> 5 is null or not exists (select 1 from chain cross join ${m}
      on ${m.conversationRowId} = chain.row_id and ${m.clientId} = j.value ->> 5 and ${m.seq} <= chain.up_to))
  insert into ${m} (${messageColumnNames}) select ${messageValues(sql`owner.last_seq + fresh.place`, sql`fresh.value`)}
  from owner cross join fresh where true returning id, seq`);

const selectByClientId = prepareStatement(sql`${withChain} select ${messageColumns} from chain
  cross join ${m} on ${m.conversationRowId} = chain.row_id and ${m.seq} <= chain.up_to
    and ${m.clientId} in (select value from json_each(${placeholder("clientIds")}))
  join ${c} on ${c.rowId} = ${m.conversationRowId}`);

interface Appended {
  /** A record for each draft. */
  readonly messages: Message[];
  /** The ids of those that are new. */
  readonly stored: string[];
}

/**
 * Stores drafts, one at least, at the end of a conversation. One whose `clientId` is there already, or comes twice, is what was stored
 * first. Rejects with `NOT_FOUND`.
 */
export function appendMessages(
  context: RepositoryContext,
  executor: Executor,
  conversationId: string,
  drafts: readonly MessageDraft[],
): Promise<Appended> {
  const isRepeatable = drafts.some(({ clientId }) => clientId !== null);
  return (isRepeatable ? appendNew : appendAll)(context, executor, conversationId, drafts);
}

/** Drafts without client ids: all of them are stored, one after the other, or none is. */
async function appendAll(
  context: RepositoryContext,
  executor: Executor,
  conversationId: string,
  drafts: readonly MessageDraft[],
): Promise<Appended> {
  const results = await run(executor, appendStatements(appendRows, context, conversationId, drafts));
  const seqs = results.flatMap(({ rows }) => rows.map((row) => Number(row[0])));
  if (seqs.length === 0) throw noConversation(context, conversationId);
  // SQLite promises no order of what a statement returns.
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
): Promise<Appended> {
  const distinct = withoutRepeated(drafts);
  const results = await run(executor, appendStatements(appendNewRows, context, conversationId, distinct));
  const seqs = new Map(results.flatMap(({ rows }) => rows.map((row) => [row[0] as string, Number(row[1])] as const)));
  const stored = new Map<MessageDraft | string, Message>();
  for (const draft of distinct) {
    const seq = seqs.get(draft.id);
    if (seq !== undefined) stored.set(draft.clientId ?? draft, draftToMessage(conversationId, seq, draft));
  }
  if (stored.size < distinct.length) {
    const missing = distinct.filter((draft) => !seqs.has(draft.id)).map(({ clientId }) => clientId);
    for (const message of await findByClientId(context, executor, conversationId, missing)) {
      stored.set(message.clientId!, message);
    }
  }
  return {
    messages: drafts.map((draft) => stored.get(draft.clientId ?? draft)!),
    stored: distinct.flatMap(({ id }) => (seqs.has(id) ? [id] : [])),
  };
}

/** A single statement can share its commit with others that wait. */
async function run(executor: Executor, statements: readonly Statement[]): Promise<readonly ResultSet[]> {
  return statements.length === 1 ? [await executor.execute(statements[0]!)] : executor.batch(statements);
}

async function findByClientId(
  context: RepositoryContext,
  executor: Executor,
  id: string,
  clientIds: readonly (string | null)[],
): Promise<Message[]> {
  const { project } = context;
  const { rows } = await executor.execute(selectByClientId({ project, id, clientIds: JSON.stringify(clientIds) }));
  if (rows.length === clientIds.length) return rows.map(toMessage);
  // They are stored, so what was read is old: a transaction reads what the primary has.
  if (executor.mayLag === true) {
    return executor.atomically((current) => findByClientId(context, current, id, clientIds));
  }
  if ((await findChain(context, executor, id)) === undefined) throw noConversation(context, id);
  throw new Error(`${clientIds.length - rows.length} messages were neither stored nor found`);
}

/** Of drafts with the same client id, the first. */
export function withoutRepeated(drafts: readonly MessageDraft[]): MessageDraft[] {
  const first = new Map<MessageDraft | string, MessageDraft>();
  for (const draft of drafts) if (!first.has(draft.clientId ?? draft)) first.set(draft.clientId ?? draft, draft);
  return [...first.values()];
}

/** What a statement is given of a draft, in the places from which `messageValues` takes it. */
export function toRow(project: string, conversationId: string, draft: MessageDraft): (string | number | null)[] {
  const { id, role, content, metadata, tags, clientId, createdAt } = draft;
  return [id, role, content, metadata, tags, clientId, createdAt, ...derivedOf(project, conversationId, draft)];
}

/** The statements that append, in order. */
function appendStatements(
  append: typeof appendRows,
  { project, now }: RepositoryContext,
  id: string,
  drafts: readonly MessageDraft[],
): Statement[] {
  const time = now();
  const rows = drafts.map((draft) => toRow(project, id, draft));
  return inParts(rows, (part) => append({ project, id, rows: JSON.stringify(part), now: time }));
}
