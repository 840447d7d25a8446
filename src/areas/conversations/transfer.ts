import { sql } from "drizzle-orm";
import { ALL_VISIBLE, conversations, messageRefs, messages } from "../../schema/conversations.js";
import { StorageError } from "../../shared/errors.js";
import { expectArray, expectation, expectObject } from "../../shared/expectation.js";
import { expectId, toMillis } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import { type Executor, scalar } from "../executor.js";
import { readAll } from "../read-all.js";
import { forStored } from "../repair.js";
import { type Exported, toExported } from "../rows.js";
import { prepareStatement, selection, set } from "../statements.js";
import { appendMessages } from "./append.js";
import { type Chain, findChain, readChain, requireChain } from "./chain.js";
import { findConversation, insertConversationStatement, NO_ORIGIN, type Origin, originAt } from "./fork.js";
import {
  type Conversation,
  type ConversationDraft,
  type Message,
  type MessageDraft,
  messagesWithOwner,
  toConversationDraft,
  toMessageDraft,
} from "./record.js";
import { insertMissingRef, type MessageRef, type MessageRefInput, refParts, toRef } from "./refs.js";
import { refreshVisibility } from "./removal.js";
import { type ConversationSummary, expectSummary, insertStoredSummary, listSummaries } from "./summaries.js";

/** A whole conversation as JSON, including the messages that a fork shares. */
export interface ConversationDocument {
  readonly format: "holdfast-conversation";
  readonly version: 1;
  readonly conversation: Exported<Omit<Conversation, "project" | "messageCount" | "deletedAt">>;
  /** All messages that it shows, in order. */
  readonly messages: readonly Exported<Message>[];
  readonly refs: readonly Exported<MessageRef>[];
  readonly summaries: readonly Exported<Omit<ConversationSummary, "conversationId">>[];
}

export interface ImportedConversation {
  readonly conversation: Conversation;
  /** Whether the conversation is new. */
  readonly isNew: boolean;
  /** The ids of the messages that were stored. */
  readonly stored: readonly string[];
}

const FORMAT = "holdfast-conversation";
const VERSION = 1;

const c = conversations;
const m = messages;
const r = messageRefs;
const placeholder = sql.placeholder;

const ref = selection({ ...refParts, messageId: m.id });
const selectRefs = prepareStatement(
  () => sql`select ${ref.columns} from json_each(${placeholder("ids")}) as j
  cross join ${m} on ${m.project} = ${placeholder("project")} and ${m.id} = j.value
  cross join ${r} on ${r.messageRowId} = ${m.rowId} order by j.key, ${r.rowId}`,
);
const setUpdated = prepareStatement(
  () => sql`update ${c} set ${set(c.updatedAt, sql`max(${c.createdAt}, ${placeholder("updatedAt")})`)}
  where ${c.project} = ${placeholder("project")} and ${c.id} = ${placeholder("id")}`,
);
/** The conversation that wrote a message, deleted and purged ones included. */
const writer = selection({ rowId: c.rowId, id: c.id, seq: m.seq });
const selectWriter = prepareStatement(
  () => sql`select ${writer.columns} from ${messagesWithOwner}
  where ${m.project} = ${placeholder("project")} and ${m.id} = ${placeholder("id")}`,
);
const selectLine = prepareStatement(
  () => sql`with recursive line (row_id, up_to) as (
    select ${placeholder("rowId")}, ${placeholder("seq")}
    union all select ${c.parentRowId}, ${c.prefixSeq} from line join ${c} on ${c.rowId} = line.row_id where ${c.parentRowId} is not null)
  select ${m.id} from line cross join ${m} on ${m.conversationRowId} = line.row_id and ${m.seq} <= line.up_to
  where ${m.project} = ${placeholder("project")} order by ${m.seq}`,
);
const countKnown = prepareStatement(
  () => sql`select count(*) from json_each(${placeholder("ids")}) as j
  cross join ${m} on ${m.project} = ${placeholder("project")} and ${m.id} = j.value`,
);
const revive = prepareStatement(
  () => sql`update ${c} set ${set(c.title, placeholder("title"))}, ${set(c.tags, placeholder("tags"))},
  ${set(c.metadata, placeholder("metadata"))}, ${set(c.createdAt, placeholder("createdAt"))}, ${set(c.deletedAt, null)},
  ${set(c.purgedAt, null)}, ${set(c.visibleSeq, ALL_VISIBLE)}
  where ${c.project} = ${placeholder("project")} and ${c.id} = ${placeholder("id")} and ${c.purgedAt} is not null returning row_id`,
);

/** Rejects with `NOT_FOUND`. Reads one snapshot when it is given a transaction. */
export async function exportConversation(
  context: RepositoryContext,
  executor: Executor,
  id: string,
): Promise<ConversationDocument> {
  const chain = await requireChain(context, executor, id);
  const conversation = (await findConversation(context, executor, id))!;
  const all = await readChain(context, executor, chain, { limit: Number.POSITIVE_INFINITY });
  const ids = JSON.stringify(all.map((message) => message.id));
  const rows = await readAll(executor, selectRefs({ project: context.project, ids }));
  const refs = rows.map((row) => toRef(row[ref.at.messageId] as string, row));
  const filter = { conversationId: id, limit: Number.POSITIVE_INFINITY };
  const summaries = await listSummaries({ ...context, executor }, filter);
  const { project, messageCount, deletedAt, ...kept } = conversation;
  return {
    format: FORMAT,
    version: VERSION,
    conversation: toExported(kept),
    messages: all.map((message) => toExported(message)),
    refs: refs.map((ref) => toExported(ref)),
    summaries: summaries.reverse().map(({ conversationId, ...summary }) => toExported(summary)),
  };
}

interface CheckedDocument {
  readonly draft: ConversationDraft;
  readonly updatedAt: number;
  readonly forkedFrom: Origin["forkedFrom"];
  readonly messages: readonly MessageDraft[];
  readonly refs: readonly (MessageRefInput & { readonly messageId: string; readonly createdAt: number })[];
  readonly summaries: readonly { id: string; date: string; title: string; text: string; createdAt: number }[];
}

/** Checks a document; throws TypeError or RangeError if `export` cannot have made it. */
export function checkDocument(given: RepositoryContext, document: ConversationDocument): CheckedDocument {
  const context = { ...given, repair: forStored(given.repair) };
  expectObject("document", document);
  if (document.format !== FORMAT) throw new TypeError(expectation("format", JSON.stringify(FORMAT), document.format));
  if (document.version !== VERSION) {
    throw new RangeError(
      `${expectation("version", String(VERSION), document.version)}: it was made by another release`,
    );
  }
  expectObject("conversation", document.conversation);
  const { forkedFrom, createdAt, updatedAt, ...rest } = document.conversation;
  expectId(rest.id, "conversation.id");
  const draft = toConversationDraft(context, {
    ...rest,
    createdAt: new Date(toTime("conversation.createdAt", createdAt)),
  });
  if (forkedFrom !== null) {
    expectObject("forkedFrom", forkedFrom);
    expectId(forkedFrom.id, "forkedFrom.id");
    if (!Number.isSafeInteger(forkedFrom.seq) || forkedFrom.seq < 0) {
      throw new RangeError(expectation("forkedFrom.seq", "an integer of at least 0", forkedFrom.seq));
    }
  }
  const drafts = expectList("messages", document.messages).map((message, index) => {
    const { conversationId, seq, createdAt: time, ...input } = message as Exported<Message>;
    expectId(input.id, "message.id");
    expectId(conversationId, "conversationId");
    if (seq !== index + 1) throw new RangeError(expectation("seq", `${index + 1}, without a gap`, seq));
    return toMessageDraft(context, { ...input, createdAt: new Date(toTime("message.createdAt", time)) });
  });
  const known = new Set(drafts.map(({ id }) => id));
  const clientIds = drafts.flatMap(({ clientId }) => clientId ?? []);
  if (known.size < drafts.length) throw new RangeError("Expected `messages` to have distinct ids");
  if (new Set(clientIds).size < clientIds.length)
    throw new RangeError("Expected `messages` to have distinct client ids");
  const refs = expectList("refs", document.refs).map((ref) => {
    const { messageId, kind, target, score, createdAt: time } = ref as Exported<MessageRef>;
    if (!known.has(messageId)) throw new RangeError(expectation("messageId", "a message of the document", messageId));
    expectId(kind, "kind");
    if (typeof target !== "string" || target === "") throw new TypeError(expectation("target", "a string", target));
    if (score !== null && !Number.isFinite(score)) throw new TypeError(expectation("score", "a number or null", score));
    return { messageId, kind, target, score, createdAt: toTime("ref.createdAt", time) };
  });
  const summaries = expectList("summaries", document.summaries).map((summary) => {
    const { id, createdAt: time, ...input } = summary as Exported<ConversationSummary>;
    expectId(id, "summary.id");
    expectSummary(input);
    return { id, ...input, createdAt: toTime("summary.createdAt", time) };
  });
  return {
    draft,
    updatedAt: toTime("conversation.updatedAt", updatedAt),
    forkedFrom,
    messages: drafts,
    refs,
    summaries,
  };
}

/**
 * Stores the records that are missing, with their ids. To an existing conversation it adds the messages that the document
 * has after its last one. If another conversation has the first messages of the document, the new one shares them like a
 * fork. Rejects with `CONFLICT` if the ids of the document are taken in another way.
 */
export async function importConversation(
  context: RepositoryContext,
  executor: Executor,
  { draft, updatedAt, forkedFrom, messages: drafts, refs, summaries }: CheckedDocument,
): Promise<ImportedConversation> {
  const { project } = context;
  const { id } = draft;
  const { rows: revived } = await executor.execute(revive({ ...draft, project }));
  if (revived[0] !== undefined) await refreshVisibility(context, executor, Number(revived[0][0]));
  let chain = await findChain(context, executor, id);
  const isNew = chain === undefined || revived[0] !== undefined;
  let shared = 0;
  if (chain !== undefined) {
    shared = await countEqual(context, executor, chain, drafts);
    // A purged conversation keeps the messages that its forks show, and these may be more.
    const [next] = isNew ? await readChain(context, executor, chain, { after: drafts.length, limit: 1 }) : [];
    if (next !== undefined) {
      throw conflict(`A fork of conversation ${JSON.stringify(id)} shows more messages of it than the document has`);
    }
  } else {
    const origin = await findOrigin(context, executor, drafts);
    await executor.execute(insertConversationStatement(context, draft, { ...origin, forkedFrom }));
    chain = await requireChain(context, executor, id);
    if (origin.parentRowId !== null) await refreshVisibility(context, executor, chain.rowId);
    shared = origin.prefixSeq;
  }
  const fresh = drafts.slice(shared);
  if (fresh.length > 0) await appendMessages(context, executor, id, fresh);
  const stored = fresh.map((message) => message.id);
  const own = new Set(stored);
  const statements = [
    ...refs
      .filter(({ messageId }) => own.has(messageId))
      .map((ref) => {
        return insertMissingRef({ ...ref, score: ref.score ?? null, project, id: ref.messageId });
      }),
    ...(isNew ? summaries : []).map((summary) => {
      return insertStoredSummary({ ...summary, project, conversationId: id });
    }),
  ];
  if (isNew || fresh.length > 0) statements.push(setUpdated({ project, id, updatedAt }));
  if (statements.length > 0) await executor.batch(statements);
  return { conversation: (await findConversation(context, executor, id))!, isNew, stored };
}

/** How many messages an existing conversation shares with the document. Throws `CONFLICT` if one of them differs. */
async function countEqual(
  context: RepositoryContext,
  executor: Executor,
  chain: Chain,
  drafts: readonly MessageDraft[],
): Promise<number> {
  const known = await readChain(context, executor, chain, { limit: drafts.length });
  const differs = known.findIndex((message, index) => message.id !== drafts[index]!.id);
  if (differs >= 0) {
    throw conflict(`Conversation ${JSON.stringify(chain.id)} has another message at ${differs + 1} than the document`);
  }
  return known.length;
}

/** The origin of the messages at the beginning of the document that are stored already. */
async function findOrigin(
  context: RepositoryContext,
  executor: Executor,
  drafts: readonly MessageDraft[],
): Promise<Origin> {
  const { project } = context;
  const ids = JSON.stringify(drafts.map(({ id }) => id));
  const known = Number(scalar(await executor.execute(countKnown({ project, ids }))));
  if (known === 0) return NO_ORIGIN;
  // The known messages must be the first ones, in this order, of one conversation.
  const last = drafts[known - 1]!;
  const { at } = writer;
  const row = (await executor.execute(selectWriter({ project, id: last.id }))).rows[0];
  if (row !== undefined && Number(row[at.seq]) === known) {
    const rowId = Number(row[at.rowId]);
    const { rows } = await executor.execute(selectLine({ project, rowId, seq: known }));
    if (rows.length === known && rows.every((row, index) => row[0] === drafts[index]!.id)) {
      const segment = { rowId, conversationId: row[at.id] as string, after: known - 1, upTo: known };
      return originAt({ rowId, id: segment.conversationId, tags: [], segments: [segment] }, known);
    }
  }
  throw conflict("Some messages of the document are in this project already, but not as its beginning");
}

function conflict(what: string): StorageError {
  return new StorageError("CONFLICT", `${what}: import it into another project`, {
    table: "messages",
    columns: ["id"],
  });
}

function expectList(name: string, value: unknown): unknown[] {
  expectArray(name, value, "objects");
  for (const item of value) expectObject(`an item of ${name}`, item);
  return value as unknown[];
}

function toTime(name: string, value: unknown): number {
  if (typeof value !== "string") throw new TypeError(expectation(name, "ISO 8601 text", value));
  return toMillis(name, new Date(value));
}
