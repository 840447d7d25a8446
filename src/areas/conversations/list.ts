import { type SQL, sql } from "drizzle-orm";
import { conversations, conversationTags } from "../../schema/conversations.js";
import { likePattern, spellings } from "../../search/query.js";
import { expectArray, expectOneOf, expectText } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectId, expectLimit, toMillis, toSqlLimit } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import { decodeCursor, encodeCursor, type Page, toPage } from "../cursor.js";
import type { Metadata, MetadataFilter } from "../metadata.js";
import { metadataConditions } from "../metadata-filter.js";
import { all, toStatement } from "../statements.js";
import {
  type Conversation,
  conversationAt,
  conversationColumns,
  MAX_TITLE_CHARS,
  toConversation,
  toTags,
} from "./record.js";

/** Which conversations; all conditions must hold. Bounds are inclusive. */
export interface ListConversationsOptions<C extends object = Metadata> {
  /** Only conversations with one of these ids. */
  readonly ids?: readonly string[] | undefined;
  /** Part of the title, taken literally, in any case. */
  readonly titleContains?: string | undefined;
  /** All of these. */
  readonly tags?: readonly string[] | undefined;
  /** At least one of these. */
  readonly anyTag?: readonly string[] | undefined;
  /** Top-level keys of the metadata and the values they must have. */
  readonly metadata?: MetadataFilter<C> | undefined;
  /** The earliest `createdAt`. */
  readonly createdFrom?: Date | number | undefined;
  /** The latest `createdAt`. */
  readonly createdUntil?: Date | number | undefined;
  /** The earliest `updatedAt`. */
  readonly updatedFrom?: Date | number | undefined;
  /** The latest `updatedAt`. */
  readonly updatedUntil?: Date | number | undefined;
  /** The time to sort by. @default "updatedAt" */
  readonly orderBy?: "createdAt" | "updatedAt" | undefined;
  /** `desc` puts the newest first. @default "desc" */
  readonly order?: "asc" | "desc" | undefined;
  /** The most conversations of a page. @default 50 */
  readonly limit?: number | undefined;
  /** The `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
}

const c = conversations;
const t = conversationTags;
const KEYS = [
  "ids",
  "titleContains",
  "tags",
  "anyTag",
  "metadata",
  "createdFrom",
  "createdUntil",
  "updatedFrom",
  "updatedUntil",
  "orderBy",
  "order",
  "limit",
  "cursor",
];

export async function listConversations(
  { project, executor }: RepositoryContext,
  options: ListConversationsOptions,
): Promise<Page<Conversation>> {
  expectKeys("list", options, KEYS);
  const { orderBy = "updatedAt", order = "desc", limit = 50, cursor } = options;
  expectOneOf("orderBy", orderBy, ["createdAt", "updatedAt"]);
  expectOneOf("order", order, ["asc", "desc"]);
  expectLimit(limit);
  const column = orderBy === "createdAt" ? c.createdAt : c.updatedAt;
  const direction = order === "asc" ? sql`asc` : sql`desc`;
  const conditions = listConditions(project, options);
  const list = `conversations ${orderBy} ${order}`;
  if (cursor !== undefined) {
    const { key, rowId } = decodeCursor(list, cursor);
    conditions.push(sql`(${column}, ${c.rowId}) ${order === "asc" ? sql`>` : sql`<`} (${key}, ${rowId})`);
  }
  const { rows } = await executor.execute(
    toStatement(sql`select ${conversationColumns} from ${c} where ${all(conditions)}
      order by ${column} ${direction}, ${c.rowId} ${direction} limit ${toSqlLimit(limit + 1)}`),
  );
  const at = conversationAt;
  return toPage(
    rows,
    limit,
    (row) => toConversation(project, row),
    (row) => encodeCursor(list, { key: Number(row[at[orderBy]]), rowId: Number(row[at.rowId]) }),
  );
}

function listConditions(project: string, options: ListConversationsOptions): SQL[] {
  const { ids, titleContains, tags, anyTag, metadata } = options;
  const conditions = [sql`${c.project} = ${project}`, sql`${c.deletedAt} is null`];
  if (ids !== undefined) {
    expectArray("ids", ids, "ids");
    for (const id of ids) expectId(id, "ids");
    conditions.push(sql`${c.id} in (select value from json_each(${JSON.stringify(ids)}))`);
  }
  if (titleContains !== undefined) {
    expectText("titleContains", titleContains, MAX_TITLE_CHARS, 0);
    const likes = spellings(titleContains).map((text) => sql`${c.title} like ${likePattern(text)} escape '\\'`);
    if (titleContains !== "") conditions.push(sql`(${sql.join(likes, sql` or `)})`);
  }
  for (const tag of tags === undefined ? [] : toTags("tags", tags)) conditions.push(tagged([tag], project));
  if (anyTag !== undefined) conditions.push(tagged(toTags("anyTag", anyTag), project));
  if (metadata !== undefined) conditions.push(...metadataConditions(c.metadata, metadata));
  const bounds = [
    ["createdFrom", c.createdAt, sql`>=`],
    ["createdUntil", c.createdAt, sql`<=`],
    ["updatedFrom", c.updatedAt, sql`>=`],
    ["updatedUntil", c.updatedAt, sql`<=`],
  ] as const;
  for (const [name, column, comparison] of bounds) {
    const value = options[name];
    if (value !== undefined) conditions.push(sql`${column} ${comparison} ${toMillis(name, value)}`);
  }
  return conditions;
}

function tagged(tags: readonly string[], project: string): SQL {
  return sql`${c.rowId} in (select ${t.conversationRowId} from ${t} where ${t.project} = ${project}
    and ${t.tag} in (select value from json_each(${JSON.stringify(tags)})) and ${t.messageRowId} = 0)`;
}
