import { type AnyColumn, type Placeholder, type SQL, sql } from "drizzle-orm";
import { messages } from "../../schema/conversations.js";
import { jsonRows, list, names } from "../statements.js";
import { derivedOf, type MessageDraft } from "./record.js";

// A statement takes messages as rows of JSON: one statement for many messages costs less than one for each.

const m = messages;

/** The parts of a row, in its order. Rows for several conversations have all of them, others end with `sentHash`. */
const PARTS = [
  "id",
  "role",
  "content",
  "metadata",
  "tags",
  "clientId",
  "createdAt",
  "checksum",
  "searchText",
  "sentHash",
  "conversationId",
  "seq",
  "updatedAt",
] as const;

/** The rows that a statement is given as `rows`: a table with `key` and `value`. */
export const messageRows = jsonRows("rows");

/** A part of a row. */
export function part(row: SQL, name: (typeof PARTS)[number]): SQL {
  return sql`(${row} ->> ${sql.raw(String(PARTS.indexOf(name)))})`;
}

/**
 * The row of a draft, without the parts for rows of several conversations. One with tags is indexed at once, by the trigger
 * that notes the tags.
 */
export function toRow(
  project: string,
  conversationId: string,
  draft: MessageDraft,
  isIndexedLater = false,
): (string | number | null)[] {
  const { id, role, content, metadata, tags, clientId, createdAt } = draft;
  const derived = derivedOf(project, conversationId, draft, isIndexedLater && tags === "[]");
  return [id, role, content, metadata, tags, clientId, createdAt, ...derived];
}

/**
 * The beginning of a statement that stores messages, up to its FROM. The FROM has to provide `row`, and a table `owner` with
 * the `row_id` of the conversation. The arguments include `project`, and `now` unless `updatedAt` is given.
 */
export function insertMessages(row: SQL, seq: SQL, updatedAt: SQL | Placeholder = sql.placeholder("now")): SQL {
  const values: readonly (readonly [AnyColumn, SQL])[] = [
    [m.project, sql`${sql.placeholder("project")}`],
    [m.conversationRowId, sql`owner.row_id`],
    [m.seq, seq],
    [m.id, part(row, "id")],
    [m.role, part(row, "role")],
    [m.content, part(row, "content")],
    [m.metadata, part(row, "metadata")],
    [m.tags, part(row, "tags")],
    [m.clientId, part(row, "clientId")],
    [m.createdAt, part(row, "createdAt")],
    [m.updatedAt, sql`${updatedAt}`],
    [m.checksum, sql`${part(row, "checksum")} || '.' || (${seq})`],
    [m.searchText, part(row, "searchText")],
    [m.sentHash, part(row, "sentHash")],
  ];
  return sql`insert into ${m} (${names(values.map(([column]) => column))})
    select ${list(values.map(([, value]) => value))}`;
}
