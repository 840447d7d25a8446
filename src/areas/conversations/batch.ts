import { sql } from "drizzle-orm";
import { conversations, messages } from "../../schema/conversations.js";
import { StorageError } from "../../shared/errors.js";
import { atRecord, inMessage, isOfRecord, settleConflicts } from "../batch.js";
import type { RepositoryContext } from "../context.js";
import type { Executor } from "../executor.js";
import { currentExecutor } from "../optimistic.js";
import { readAll } from "../read-all.js";
import { inParts, prepareStatement } from "../statements.js";
import { draftToConversation, insertConversations, type NewDraft } from "./insert.js";
import { type Conversation, conversationColumns, type MessageDraft, toConversation } from "./record.js";
import { purgeConversation } from "./removal.js";

const c = conversations;
const m = messages;
const project = sql.placeholder("project");
const ids = sql`(select value from json_each(${sql.placeholder("ids")}))`;

const selectAny = prepareStatement(
  () => sql`select ${conversationColumns} from ${c}
  where ${c.project} = ${project} and ${c.id} in ${ids} order by ${c.rowId}`,
);
const selectTaken = prepareStatement(
  () => sql`select ${c.id} from ${c} where ${c.project} = ${project} and ${c.id} in ${ids}
  union select ${m.id} from ${m} where ${m.project} = ${project} and ${m.id} in ${ids} order by 1`,
);

/** The result of `insertMany` where ids were taken. */
interface InsertedOver {
  /** For each draft. */
  readonly conversations: Conversation[];
  /** Ids of conversations and messages. */
  readonly inserted: string[];
  readonly updated: string[];
}

/** Holds the lock, so that the state of the ids cannot change. The caller announces the changes. */
export function insertConversationsOver(
  context: RepositoryContext,
  drafts: readonly NewDraft[],
  onConflict: "skip" | "replace",
): Promise<InsertedOver> {
  return context.executor.atomically(async (locked) => {
    const known = await findAny(context, locked, drafts);
    const settled = settleConflicts(drafts, onConflict, known, (draft, { createdAt }) => ({
      ...draft,
      createdAt: Number(createdAt),
    }));
    const due = [...settled.values()];
    for (const { id } of due) if (known.has(id)) await purgeConversation(context, locked, id);
    await refuseShells(
      context,
      locked,
      drafts,
      [...known.keys()].filter((id) => settled.has(id)),
    );
    // Read before the batch: after a failure, a part of the batch is stored in this transaction.
    const taken = await findTaken(context, locked, idsOf(due));
    const time = new Date(context.now());
    const statements = due.length === 0 ? [] : insertConversations({ ...context, now: () => time.getTime() }, due);
    try {
      if (statements.length > 0) await locked.batch(statements);
    } catch (error) {
      // Of several drafts with one id, the last one is stored.
      const indexOf = ({ id }: NewDraft) => drafts.findLastIndex((one) => one.id === id);
      throw isOfRecord(error) ? atFirstTaken(error, due, taken, indexOf) : error;
    }
    const messageIds = due.flatMap(({ messages: own }) => own.map(({ id }) => id));
    return {
      conversations: drafts.map(({ id }) => {
        const draft = settled.get(id);
        return draft === undefined ? known.get(id)! : draftToConversation(context.project, draft, time);
      }),
      inserted: [...due.filter(({ id }) => !known.has(id)).map(({ id }) => id), ...messageIds],
      updated: due.filter(({ id }) => known.has(id)).map(({ id }) => id),
    };
  });
}

/** Refuses to replace conversations that were purged but keep their row and id, because forks show their messages. */
async function refuseShells(
  context: RepositoryContext,
  locked: Executor,
  drafts: readonly NewDraft[],
  purged: readonly string[],
): Promise<void> {
  if (purged.length === 0) return;
  const kept = await findAny(
    context,
    locked,
    purged.map((id) => ({ id })),
  );
  const index = drafts.findIndex(({ id }) => kept.has(id));
  if (index < 0) return;
  const { id } = drafts[index]!;
  const message = `Forks show messages of the conversation ${JSON.stringify(id)}, so it cannot be replaced: purge the forks first, or choose another id. Nothing was stored`;
  throw atRecord(new StorageError("CONFLICT", message, { table: "conversations", columns: ["project", "id"] }), {
    index,
    id,
  });
}

/** Adds the place of the first conversation whose id, or the id of one of its messages, is taken. */
export async function atTakenConversation(
  context: RepositoryContext,
  error: StorageError,
  drafts: readonly NewDraft[],
): Promise<unknown> {
  // If this read fails, the error of the batch is still the one to report.
  const taken = await findTaken(context, currentExecutor(context.executor), idsOf(drafts)).catch(
    () => new Set<string>(),
  );
  return atFirstTaken(error, drafts, taken, (draft) => drafts.indexOf(draft));
}

function atFirstTaken(
  error: StorageError,
  drafts: readonly NewDraft[],
  taken: Set<string>,
  indexOf: (draft: NewDraft) => number,
): unknown {
  for (const draft of drafts) {
    const place = { index: indexOf(draft), id: draft.id };
    if (taken.has(draft.id)) return atRecord(error, place);
    taken.add(draft.id);
    for (const [messageIndex, { id }] of draft.messages.entries()) {
      if (taken.has(id)) return atRecord(inMessage(error, messageIndex), place);
      taken.add(id);
    }
  }
  return error;
}

function idsOf(drafts: readonly NewDraft[]): string[] {
  return drafts.flatMap(({ id, messages: own }) => [id, ...own.map((message) => message.id)]);
}

/** Adds the place of the first message whose id is taken. */
export async function atTakenMessage(
  context: RepositoryContext,
  executor: Executor,
  error: StorageError,
  drafts: readonly MessageDraft[],
): Promise<unknown> {
  const taken = await findTaken(
    context,
    executor,
    drafts.map(({ id }) => id),
  ).catch(() => new Set<string>());
  for (const [index, { id }] of drafts.entries()) {
    if (taken.has(id)) return atRecord(error, { index, id });
    taken.add(id);
  }
  return error;
}

async function findAny(
  { project }: RepositoryContext,
  executor: Executor,
  drafts: readonly { readonly id: string }[],
): Promise<Map<string, Conversation>> {
  const found = new Map<string, Conversation>();
  const statements = inParts(
    drafts.map(({ id }) => [id]),
    (part) => selectAny({ project, ids: JSON.stringify(part.flat()) }),
  );
  for (const statement of statements) {
    for (const row of await readAll(executor, statement)) {
      const conversation = toConversation(project, row);
      found.set(conversation.id, conversation);
    }
  }
  return found;
}

async function findTaken(
  { project }: RepositoryContext,
  executor: Executor,
  wanted: readonly string[],
): Promise<Set<string>> {
  const taken = new Set<string>();
  const statements = inParts(
    wanted.map((id) => [id]),
    (part) => selectTaken({ project, ids: JSON.stringify(part.flat()) }),
  );
  for (const statement of statements) for (const row of await readAll(executor, statement)) taken.add(row[0] as string);
  return taken;
}
