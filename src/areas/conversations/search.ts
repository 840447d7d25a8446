import { type SQL, sql } from "drizzle-orm";
import { alias } from "drizzle-orm/sqlite-core";
import { mayBeIndexDamage } from "../../client/storage-error.js";
import { conversations, conversationTags, messages } from "../../schema/conversations.js";
import { keywordSearch } from "../../search/keyword-search.js";
import { planQuery } from "../../search/query.js";
import type { KeywordHit, KeywordMatch, SearchTarget } from "../../search/request.js";
import { resolveSnippetOptions, type SnippetOptions, snippet } from "../../search/snippet.js";
import { searchScope, toGiven, toSearchText } from "../../search/terms.js";
import { expectArray, expectation, expectInteger } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectId, expectLimit, toMillis } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import type { Metadata } from "../metadata.js";
import { readAll } from "../read-all.js";
import { backlogOf } from "../search-backlog.js";
import { isWriteRefused, searchReader, toWhere } from "../search-reader.js";
import { prepareStatement, selection, set, toStatement } from "../statements.js";
import { type Chain, findChain, readChain } from "./chain.js";
import {
  expectRole,
  type Message,
  type MessageRole,
  messageParts,
  messagesWithOwner,
  toMessage,
  toTags,
} from "./record.js";

/** Which messages a search finds, and what it returns of them. */
export interface SearchMessagesOptions {
  /** Only in this conversation, including the messages that it shares. */
  readonly conversationId?: string | undefined;
  /** Only messages with one of these roles. */
  readonly roles?: readonly MessageRole[] | undefined;
  /** All of these, each on the message or on its conversation. */
  readonly tags?: readonly string[] | undefined;
  /** Bounds on `createdAt`, inclusive. */
  readonly since?: Date | number | undefined;
  /** The latest `createdAt`. */
  readonly until?: Date | number | undefined;
  /** The most results. @default 10 */
  readonly limit?: number | undefined;
  /** How many turns to give with each result as `before` and `after`. @default 0 */
  readonly context?: number | undefined;
  /** The length and the marks of `snippet`. */
  readonly snippet?: SnippetOptions | undefined;
}

/** One message that a search found. */
export interface MessageSearchResult<M extends object = Metadata> {
  readonly message: Message<M>;
  /** The conversation that wrote it, the fork that was searched, or the oldest fork that still shows it. */
  readonly conversationId: string;
  /** Higher is better; comparable within one result only. */
  readonly score: number;
  /** Which strategy found it: words (`keyword`), beginnings of words, any part of the text, or the turns around it (`context`). */
  readonly match: KeywordMatch;
  /** At most 300 characters of the content, with the matches between `<mark>` and `</mark>`. */
  readonly snippet: string;
  /** The turns right before it in that conversation, in order; with `context` only. */
  readonly before?: readonly Message<M>[];
  /** The turns right after it. */
  readonly after?: readonly Message<M>[];
}

const c = conversations;
const m = messages;
const t = conversationTags;
const aliased = alias(messages, "m");
export const MESSAGE_TARGET: SearchTarget = {
  table: "messages",
  rowId: m.rowId.name,
  content: m.content.name,
  searchText: m.searchText.name,
  fts: "messages_fts",
  indexed: [m.conversationRowId.name],
  sequence: { group: m.conversationRowId.name, position: m.seq.name },
  metadata: m.metadata.name,
  recentOrder: "m.created_at DESC, m.row_id DESC",
};
/** Longer lists of ancestors than this are left to the filter: FTS5 bounds the depth of its expressions. */
const MAX_INDEXED_SEGMENTS = 100;
/** How many messages of other programs a search indexes at a time. */
const UNINDEXED = 1_000;

const unindexed = selection({ rowId: m.rowId, content: m.content });
const selectUnindexed = prepareStatement(
  () => sql`select ${unindexed.columns} from ${m}
  where ${m.project} = ${sql.placeholder("project")} and ${m.searchText} is null limit ${sql.placeholder("limit")}`,
);
const indexRow = prepareStatement(
  () => sql`update ${m} set ${set(m.searchText, sql.placeholder("searchText"))}
  where ${m.rowId} = ${sql.placeholder("rowId")} and ${m.searchText} is null and ${m.content} = ${sql.placeholder("content")}`,
);

/** The oldest fork that is not deleted and shows a message of a deleted conversation. */
function homeOf(message: { rowId: SQL; seq: SQL }): SQL {
  return sql`(with recursive fork (row_id, deleted_at) as (
      select child.row_id, child.deleted_at from ${c} as child where child.parent_row_id = ${message.rowId} and child.prefix_seq >= ${message.seq}
      union all select child.row_id, child.deleted_at from fork join ${c} as child on child.parent_row_id = fork.row_id
    ) select min(row_id) from fork where deleted_at is null)`;
}

export async function searchMessages(
  context: RepositoryContext,
  text: string,
  options: SearchMessagesOptions,
): Promise<MessageSearchResult[]> {
  if (typeof text !== "string") throw new TypeError(expectation("text", "a string", text));
  const known = ["conversationId", "roles", "tags", "since", "until", "limit", "context", "snippet"];
  expectKeys("search", options, known);
  const { conversationId, limit = 10, context: turns = 0 } = options;
  expectLimit(limit);
  expectInteger("context", turns, 0);
  const shape = resolveSnippetOptions(options.snippet);
  const plan = planQuery(text);
  if (conversationId !== undefined) expectId(conversationId, "conversationId");
  const filter = filterConditions(options);
  const { project, executor } = context;
  const chain = conversationId === undefined ? undefined : await findChain(context, executor, conversationId);
  if (conversationId !== undefined && chain === undefined) return [];
  const isUnindexed = !(await indexForeignMessages(context));
  const tags = options.tags === undefined ? [] : toTags("tags", options.tags);
  const scope = [sql`${aliased.project} = ${project}`, chain === undefined ? VISIBLE : inChain(chain)];
  const conditions = [...filter, ...tagConditions(project, chain, tags)];
  const hits = await keywordSearch(searchReader(executor), {
    target: MESSAGE_TARGET,
    plan,
    scope: searchScope(project),
    where: toWhere([...scope, ...conditions]),
    ...(conditions.length === 0 ? {} : { lenders: toWhere(scope) }),
    ...(chain === undefined || chain.segments.length > MAX_INDEXED_SEGMENTS ? {} : { within: withinChain(chain) }),
    ...(chain === undefined || chain.segments.length === 1
      ? {}
      : { line: chain.segments.map(({ rowId, upTo }) => ({ group: rowId, upTo })) }),
    isUnindexed,
    backlog: backlogOf(context, MESSAGE_TARGET),
    limit: Math.min(limit, Number.MAX_SAFE_INTEGER),
  });
  const found = await fetchFound(context, hits, chain);
  const results = found.map(({ message, home, hit: { score, match } }) => {
    return { message, conversationId: home, score, match, snippet: snippet(message.content, plan, shape) };
  });
  return turns === 0 ? results : withTurns(context, results, turns);
}

function filterConditions({ roles, since, until }: SearchMessagesOptions): SQL[] {
  const conditions: SQL[] = [];
  if (roles !== undefined) {
    expectArray("roles", roles, "roles");
    for (const role of roles) expectRole("roles", role);
    conditions.push(
      sql`${aliased.role} in (${sql.join(roles.length === 0 ? [sql`null`] : roles.map((role) => sql`${role}`), sql`, `)})`,
    );
  }
  if (since !== undefined) conditions.push(sql`${aliased.createdAt} >= ${toMillis("since", since)}`);
  if (until !== undefined) conditions.push(sql`${aliased.createdAt} <= ${toMillis("until", until)}`);
  return conditions;
}

/** Which messages carry the tags, or are in a conversation that does. */
function tagConditions(project: string, chain: Chain | undefined, tags: readonly string[]): SQL[] {
  const conditions: SQL[] = [];
  for (const tag of tags) {
    if (chain?.tags.includes(tag)) continue;
    const carries = (conversationRowId: SQL, messageRowId: SQL) => sql`exists (select 1 from ${t}
      where ${t.project} = ${project} and ${t.tag} = ${tag} and ${t.conversationRowId} = ${conversationRowId} and ${t.messageRowId} = ${messageRowId})`;
    const own = carries(sql`${aliased.conversationRowId}`, sql`${aliased.rowId}`);
    const home = sql`(select case when ${c.deletedAt} is null then ${c.rowId}
      else ${homeOf({ rowId: sql`${aliased.conversationRowId}`, seq: sql`${aliased.seq}` })} end
      from ${c} where ${c.rowId} = ${aliased.conversationRowId})`;
    conditions.push(chain === undefined ? sql`(${own} or ${carries(home, sql`0`)})` : own);
  }
  return conditions;
}

/** Which messages some conversation shows. */
const VISIBLE = sql`exists (select 1 from ${c} where ${c.rowId} = ${aliased.conversationRowId} and ${aliased.seq} <= ${c.visibleSeq})`;

function inChain({ segments }: Chain): SQL {
  const [own] = segments;
  if (segments.length === 1) return sql`${aliased.conversationRowId} = ${own.rowId}`;
  const list = JSON.stringify(segments.map(({ rowId, upTo }) => [rowId, upTo]));
  return sql`exists (select 1 from json_each(${list}) as segment where segment.value ->> 0 = ${aliased.conversationRowId}
    and ${aliased.seq} <= segment.value ->> 1)`;
}

/** Limits the index lookup to the segments of the conversation, so that its cost does not depend on other conversations. */
function withinChain({ segments }: Chain): string {
  return `${m.conversationRowId.name} : (${segments.map(({ rowId }) => `"${rowId}"`).join(" OR ")})`;
}

/**
 * Indexes the messages that another program, such as Drizzle Studio, has written or changed; a trigger marks them. Resolves
 * to false if their terms cannot be stored.
 */
async function indexForeignMessages({ project, executor }: RepositoryContext): Promise<boolean> {
  const scope = searchScope(project);
  const { at } = unindexed;
  for (;;) {
    const rows = await readAll(executor, selectUnindexed({ project, limit: UNINDEXED }));
    if (rows.length === 0) return true;
    if (executor.refusesWrites === true) return false;
    const statements = rows.map((row) => {
      const content = row[at.content] as string;
      return indexRow({ rowId: Number(row[at.rowId]), content, searchText: toGiven(toSearchText(content, scope)) });
    });
    try {
      const results = await executor.batch(statements);
      // A read replica may still show messages that are indexed by now.
      if (results.every(({ rowsAffected }) => rowsAffected === 0)) return true;
    } catch (error) {
      // `health` and `check` report a damaged index.
      if (!isWriteRefused(error) && !mayBeIndexDamage(error)) throw error;
      return false;
    }
  }
}

interface Found {
  readonly hit: KeywordHit;
  readonly message: Message;
  /** The id of the conversation that it was found in. */
  readonly home: string;
}

/** A message, and the fork that shows it if its conversation is deleted. */
const foundMessage = selection({
  ...messageParts,
  fork: sql`case when ${c.deletedAt} is null then null
    else (select id from ${c} as home where home.row_id = ${homeOf({ rowId: sql`${c.rowId}`, seq: sql`${m.seq}` })}) end`,
});

async function fetchFound(
  { project, executor }: RepositoryContext,
  hits: readonly KeywordHit[],
  chain: Chain | undefined,
): Promise<Found[]> {
  if (hits.length === 0) return [];
  const { columns, at } = foundMessage;
  const rows = await readAll(
    executor,
    toStatement(sql`select ${columns} from ${messagesWithOwner} where +${m.project} = ${project}
      and ${m.rowId} in (select value from json_each(${JSON.stringify(hits.map(({ rowId }) => rowId))}))`),
  );
  const byRow = new Map(rows.map((row) => [Number(row[at.rowId]), row]));
  return hits.flatMap((hit) => {
    const row = byRow.get(hit.rowId);
    if (row === undefined) return [];
    const message = toMessage(row);
    return { hit, message, home: chain?.id ?? (row[at.fork] as string | null) ?? message.conversationId };
  });
}

async function withTurns(
  context: RepositoryContext,
  results: readonly MessageSearchResult[],
  turns: number,
): Promise<MessageSearchResult[]> {
  const { executor } = context;
  const chains = new Map<string, Chain | undefined>();
  const complete: MessageSearchResult[] = [];
  for (const result of results) {
    const { conversationId, message } = result;
    if (!chains.has(conversationId)) chains.set(conversationId, await findChain(context, executor, conversationId));
    const chain = chains.get(conversationId);
    // The conversation was deleted after the search.
    if (chain === undefined) continue;
    const before = await readChain(context, executor, chain, { before: message.seq, limit: turns }, "last");
    const after = await readChain(context, executor, chain, { after: message.seq, limit: turns });
    complete.push({ ...result, before: before.reverse(), after });
  }
  return complete;
}
