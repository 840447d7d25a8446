import { type SQL, sql } from "drizzle-orm";
import { ALL_VISIBLE, conversations, messages } from "../../schema/conversations.js";
import type { RepositoryContext } from "../context.js";
import type { Executor } from "../executor.js";
import { parseList } from "../json.js";
import { readAll } from "../read-all.js";
import { notFound } from "../repository.js";
import { prepareStatement, selection } from "../statements.js";
import { isVisible, type Message, type MessageRole, messageColumns, messagesWithOwner, toMessage } from "./record.js";

/** The messages of a conversation that belong to one conversation: to itself or to one of its ancestors. */
interface Segment {
  readonly rowId: number;
  readonly conversationId: string;
  /** The seq before its first one. */
  readonly after: number;
  /** The seq of its last one; unbounded for the conversation itself. */
  readonly upTo: number;
}

/** A conversation that is not deleted, as a list of segments: its own, then its parent's, and so on. */
export interface Chain {
  readonly rowId: number;
  readonly id: string;
  readonly tags: readonly string[];
  readonly segments: readonly [Segment, ...Segment[]];
}

const c = conversations;
const m = messages;
const placeholder = sql.placeholder;

/**
 * A recursive table `chain` of a conversation that is not deleted and its ancestors, with the part of each. Put it before a
 * statement whose arguments include `project` and `id`.
 */
export const withChain = sql`with recursive chain (row_id, id, tags, prefix_seq, parent_row_id, up_to, depth) as (
    select ${c.rowId}, ${c.id}, ${c.tags}, ${c.prefixSeq}, ${c.parentRowId}, ${sql.raw(String(ALL_VISIBLE))}, 0 from ${c}
    where ${c.project} = ${placeholder("project")} and ${c.id} = ${placeholder("id")} and ${c.deletedAt} is null
    union all
    select ${c.rowId}, ${c.id}, ${c.tags}, ${c.prefixSeq}, ${c.parentRowId}, chain.prefix_seq, chain.depth + 1
    from chain join ${c} on ${c.rowId} = chain.parent_row_id and +${c.project} = ${placeholder("project")}
  )`;

const link = selection({
  rowId: sql`row_id`,
  id: sql`id`,
  tags: sql`tags`,
  prefixSeq: sql`prefix_seq`,
  upTo: sql`up_to`,
});
const selectChain = prepareStatement(() => sql`${withChain} select ${link.columns} from chain order by depth`);

/** Undefined if the conversation is unknown, deleted or in another project. */
export async function findChain(
  { project }: RepositoryContext,
  executor: Executor,
  id: string,
): Promise<Chain | undefined> {
  const { at } = link;
  const { rows } = await executor.execute(selectChain({ project, id }));
  const [own, ...ancestors] = rows.map((row) => ({
    rowId: Number(row[at.rowId]),
    conversationId: row[at.id] as string,
    after: Number(row[at.prefixSeq]),
    upTo: Number(row[at.upTo]),
  }));
  if (own === undefined) return undefined;
  const tags = parseList(rows[0]![at.tags], "conversations", id);
  return { rowId: own.rowId, id, tags, segments: [own, ...ancestors] };
}

export async function requireChain(context: RepositoryContext, executor: Executor, id: string): Promise<Chain> {
  return (await findChain(context, executor, id)) ?? Promise.reject(notFound(context, "conversation", id));
}

export interface ChainRange {
  /** Exclusive. @default 0 */
  readonly after?: number | undefined;
  /** Exclusive. @default Infinity */
  readonly before?: number | undefined;
  readonly roles?: readonly MessageRole[] | undefined;
  readonly limit: number;
}

/** The messages of one segment of a chain, in both orders. */
const segmentStatements = (condition: SQL) => {
  // The plus sign keeps SQLite from choosing an index by project, which would not narrow the search.
  const inOrder = (direction: SQL) =>
    prepareStatement(
      () => sql`select ${messageColumns} from ${messagesWithOwner}
      where ${m.conversationRowId} = ${placeholder("rowId")} and ${m.seq} > ${placeholder("from")}
        and ${m.seq} <= ${placeholder("to")} and +${m.project} = ${placeholder("project")} ${condition}
      order by ${m.seq} ${direction} limit ${placeholder("limit")}`,
    );
  return { first: inOrder(sql`asc`), last: inOrder(sql`desc`) };
};
const selectSegment = segmentStatements(sql``);
const selectRolesOfSegment = segmentStatements(
  sql`and ${m.role} in (select value from json_each(${placeholder("roles")}))`,
);

/** Messages of a conversation in `seq` order, the first `limit` of a range or, with `last`, the last ones, newest first. */
export async function readChain(
  { project }: RepositoryContext,
  executor: Executor,
  { segments }: Chain,
  { after = 0, before = Number.POSITIVE_INFINITY, roles, limit }: ChainRange,
  order: "first" | "last" = "first",
): Promise<Message[]> {
  const found: Message[] = [];
  for (const segment of order === "first" ? segments.toReversed() : segments) {
    const from = Math.max(after, segment.after);
    const to = Math.min(before - 1, segment.upTo);
    if (found.length >= limit) break;
    if (from >= to) continue;
    const select = (roles === undefined ? selectSegment : selectRolesOfSegment)[order];
    const statement = select({
      project,
      rowId: segment.rowId,
      from,
      to: Math.min(to, ALL_VISIBLE),
      roles: roles === undefined ? null : JSON.stringify(roles),
      limit: limit === Number.POSITIVE_INFINITY ? -1 : limit - found.length,
    });
    for (const row of await readAll(executor, statement)) found.push(toMessage(row));
  }
  return found;
}

const selectMessage = prepareStatement(
  () => sql`select ${messageColumns} from ${messagesWithOwner}
  where ${m.project} = ${placeholder("project")} and ${m.id} = ${placeholder("id")} and ${isVisible}`,
);

/** A message that its own conversation or a fork shows. */
export async function findMessage(
  { project }: RepositoryContext,
  executor: Executor,
  id: string,
): Promise<Message | undefined> {
  const { rows } = await executor.execute(selectMessage({ project, id }));
  return rows[0] === undefined ? undefined : toMessage(rows[0]);
}
