import type { Row } from "@libsql/client";
import { sql } from "drizzle-orm";
import { conversations, messageRefs, messages } from "../../schema/conversations.js";
import { expectation, expectFinite, expectText } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectId, MAX_NAME_CHARS } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import { notFound } from "../repository.js";
import { prepareStatement, returned, selection } from "../statements.js";
import { isVisible, type Message, messageColumns, messagesWithOwner, toMessage } from "./record.js";

/** A reference from a message to something else. */
export interface MessageRef {
  readonly messageId: string;
  /** What kind of thing: commit, file, url, memory, node, … */
  readonly kind: string;
  /** Which one: a hash, a path, an id. */
  readonly target: string;
  /** How relevant it is; null if it was not given. */
  readonly score: number | null;
  readonly createdAt: Date;
}

/** The input for a reference. */
export interface MessageRefInput {
  /** 1 to 200 characters. */
  readonly kind: string;
  /** 1 to 10,000 characters. */
  readonly target: string;
  /** How relevant it is. @default null, or what it was */
  readonly score?: number | null | undefined;
}

const MAX_TARGET_CHARS = 10_000;
const m = messages;
const c = conversations;
const r = messageRefs;
const placeholder = sql.placeholder;
const visibleMessage = sql`${m.project} = ${placeholder("project")} and ${m.id} = ${placeholder("id")} and ${isVisible}`;
const isRef = sql`${r.kind} = ${placeholder("kind")} and ${r.target} = ${placeholder("target")}`;

/** The columns that `toRef` reads. A query may select more after them. */
export const refParts = { kind: r.kind, target: r.target, score: r.score, createdAt: r.createdAt };
const { columns, at } = selection(refParts);

const insertInto = sql`into ${r} (project, message_row_id, kind, target, score, created_at) select ${m.project}, ${m.rowId},
  ${placeholder("kind")}, ${placeholder("target")}, ${placeholder("score")}, ${placeholder("createdAt")}`;
const ofMessage = sql`from ${m} where ${m.project} = ${placeholder("project")} and ${m.id} = ${placeholder("id")}`;
/** Also for a message that cannot be seen. */
export const insertRef = prepareStatement(() => sql`insert ${insertInto} ${ofMessage}`);
export const insertMissingRef = prepareStatement(() => sql`insert or ignore ${insertInto} ${ofMessage}`);
const upsert = prepareStatement(
  () => sql`insert ${insertInto} from ${messagesWithOwner} where ${visibleMessage}
  on conflict (message_row_id, kind, target) do update set score = coalesce(excluded.score, score)
  returning ${returned(refParts)}`,
);
const remove = prepareStatement(
  () => sql`delete from ${r} where ${isRef} and ${r.messageRowId} =
  (select ${m.rowId} from ${messagesWithOwner} where ${visibleMessage})`,
);
const selectRefs = prepareStatement(
  () => sql`select ${columns} from ${messagesWithOwner}
  join ${r} on ${r.messageRowId} = ${m.rowId} where ${visibleMessage} order by ${r.rowId}`,
);
const selectByRef = prepareStatement(
  () => sql`select ${messageColumns} from ${r} cross join ${m} on ${m.rowId} = ${r.messageRowId}
  cross join ${c} on ${c.rowId} = ${m.conversationRowId}
  where ${r.project} = ${placeholder("project")} and ${isRef} and ${isVisible} order by ${m.rowId}`,
);

export async function linkRef(
  context: RepositoryContext,
  messageId: string,
  ref: MessageRefInput,
): Promise<MessageRef> {
  expectId(messageId, "messageId");
  expectKeys("a ref", ref, ["kind", "target", "score"]);
  const { kind, target, score = null } = ref;
  expectRef(kind, target);
  if (score !== null) {
    if (typeof score !== "number") throw new TypeError(expectation("score", "a number", score));
    expectFinite("score", score);
  }
  const { project, now, executor } = context;
  const { rows } = await executor.execute(upsert({ project, id: messageId, kind, target, score, createdAt: now() }));
  if (rows[0] === undefined) throw notFound(context, "message", messageId);
  return toRef(messageId, rows[0]);
}

export async function unlinkRef(
  { project, executor }: RepositoryContext,
  messageId: string,
  ref: Pick<MessageRefInput, "kind" | "target">,
): Promise<boolean> {
  expectId(messageId, "messageId");
  expectKeys("a ref", ref, ["kind", "target", "score", "messageId", "createdAt"]);
  const { kind, target } = ref;
  expectRef(kind, target);
  return (await executor.execute(remove({ project, id: messageId, kind, target }))).rowsAffected > 0;
}

export async function readRefs({ project, executor }: RepositoryContext, messageId: string): Promise<MessageRef[]> {
  expectId(messageId, "messageId");
  const { rows } = await executor.execute(selectRefs({ project, id: messageId }));
  return rows.map((row) => toRef(messageId, row));
}

export async function messagesByRef(
  { project, executor }: RepositoryContext,
  kind: string,
  target: string,
): Promise<Message[]> {
  expectRef(kind, target);
  const { rows } = await executor.execute(selectByRef({ project, kind, target }));
  return rows.map(toMessage);
}

function expectRef(kind: unknown, target: unknown): void {
  expectText("kind", kind, MAX_NAME_CHARS);
  expectText("target", target, MAX_TARGET_CHARS);
}

export function toRef(messageId: string, row: Row): MessageRef {
  const score = row[at.score];
  return {
    messageId,
    kind: row[at.kind] as string,
    target: row[at.target] as string,
    score: score === null ? null : Number(score),
    createdAt: new Date(Number(row[at.createdAt])),
  };
}
