import type { Row } from "@libsql/client";
import { type SQL, sql } from "drizzle-orm";
import { conversationSummaries, conversations } from "../../schema/conversations.js";
import { expectation, expectText } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectId, expectLimit, toSqlLimit } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import { newId } from "../ids.js";
import { readAll } from "../read-all.js";
import { notFound } from "../repository.js";
import { all, prepareStatement, selection, toStatement } from "../statements.js";
import { MAX_SUMMARY_CHARS, MAX_TITLE_CHARS } from "./record.js";

/** A summary of one day of a conversation. */
export interface ConversationSummary {
  readonly id: string;
  readonly conversationId: string;
  /** YYYY-MM-DD. */
  readonly date: string;
  readonly title: string;
  readonly text: string;
  readonly createdAt: Date;
}

/** The input for a summary. */
export interface SummaryInput {
  /** YYYY-MM-DD. */
  readonly date: string;
  /** At most 1,000 characters. */
  readonly title: string;
  /** At most 1,000,000 characters. */
  readonly text: string;
}

/** Which summaries. */
export interface SummaryFilter {
  /** Only summaries of this conversation. */
  readonly conversationId?: string | undefined;
  /** Only summaries of this day, YYYY-MM-DD. */
  readonly date?: string | undefined;
  /** The most summaries. @default 50 */
  readonly limit?: number | undefined;
}

const s = conversationSummaries;
const c = conversations;
const placeholder = sql.placeholder;
/** The columns that `toSummary` reads, of `summariesWithOwner`. */
const { columns, at } = selection({
  id: s.id,
  conversationId: c.id,
  date: s.date,
  title: s.title,
  text: s.text,
  createdAt: s.createdAt,
});

export const summaryColumns = columns;
export const summariesWithOwner = sql`${s} cross join ${c} on ${c.rowId} = ${s.conversationRowId}`;

const insertInto = (condition: SQL) =>
  prepareStatement(
    () => sql`insert into ${s} (project, conversation_row_id, id, date, title, text, created_at)
  select ${c.project}, ${c.rowId}, ${placeholder("id")}, ${placeholder("date")}, ${placeholder("title")}, ${placeholder("text")},
    ${placeholder("createdAt")} from ${c} where ${c.project} = ${placeholder("project")}
    and ${c.id} = ${placeholder("conversationId")} ${condition}`,
  );
const insertSummary = insertInto(sql`and ${c.deletedAt} is null`);
/** Also into a deleted conversation. */
export const insertStoredSummary = insertInto(sql``);

/** Throws TypeError or RangeError. */
export function expectSummary(summary: SummaryInput): void {
  expectKeys("a summary", summary, ["date", "title", "text"]);
  expectDate(summary.date);
  expectText("title", summary.title, MAX_TITLE_CHARS, 0);
  expectText("text", summary.text, MAX_SUMMARY_CHARS, 0);
}

export async function addSummary(
  context: RepositoryContext,
  conversationId: string,
  summary: SummaryInput,
): Promise<ConversationSummary> {
  expectId(conversationId, "conversationId");
  expectSummary(summary);
  const { project, executor } = context;
  const { date, title, text } = summary;
  const values = { id: newId(), conversationId, date, title, text };
  const createdAt = context.now();
  const { rowsAffected } = await executor.execute(insertSummary({ ...values, project, createdAt }));
  if (rowsAffected === 0) throw notFound(context, "conversation", conversationId);
  return { ...values, createdAt: new Date(createdAt) };
}

/** Newest date first, then latest added. */
export async function listSummaries(
  { project, executor }: RepositoryContext,
  filter: SummaryFilter,
): Promise<ConversationSummary[]> {
  expectKeys("summaries", filter, ["conversationId", "date", "limit"]);
  const { conversationId, date, limit = 50 } = filter;
  expectLimit(limit);
  const conditions: SQL[] = [sql`${c.deletedAt} is null`];
  if (date !== undefined) {
    expectDate(date);
    conditions.push(sql`${s.date} = ${date}`);
  }
  // Both indexes give the order; the plus sign makes SQLite take the one of the conversation.
  if (conversationId === undefined) conditions.push(sql`${s.project} = ${project}`);
  else {
    expectId(conversationId, "conversationId");
    conditions.push(
      sql`+${s.project} = ${project}`,
      sql`${s.conversationRowId} = (select row_id from ${c} where project = ${project} and id = ${conversationId})`,
    );
  }
  const rows = await readAll(
    executor,
    toStatement(sql`select ${columns} from ${summariesWithOwner}
      where ${all(conditions)} order by ${s.date} desc, ${s.rowId} desc limit ${toSqlLimit(limit)}`),
  );
  return rows.map(toSummary);
}

export function toSummary(row: Row): ConversationSummary {
  return {
    id: row[at.id] as string,
    conversationId: row[at.conversationId] as string,
    date: row[at.date] as string,
    title: row[at.title] as string,
    text: row[at.text] as string,
    createdAt: new Date(Number(row[at.createdAt])),
  };
}

function expectDate(value: unknown): void {
  if (typeof value !== "string") throw new TypeError(expectation("date", "text like 2026-01-31", value));
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(value) && new Date(`${value}T00:00:00Z`).toJSON()?.startsWith(value);
  if (!isDay) throw new RangeError(expectation("date", "a day like 2026-01-31", value));
}
