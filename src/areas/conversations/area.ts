import type { Row } from "@libsql/client";
import { sql } from "drizzle-orm";
import {
  conversationSummaries,
  conversations,
  conversationTags,
  messageRefs,
  messages,
} from "../../schema/conversations.js";
import { searchScope, toSearchText } from "../../search/terms.js";
import { StorageError } from "../../shared/errors.js";
import { expectText } from "../../shared/expectation.js";
import type { Area, DamagedRecord, IncomingRecord, Reader } from "../area.js";
import { expectId } from "../arguments.js";
import { checksumOf } from "../checksum.js";
import type { ConversationLine, MessageLine } from "../export-lines.js";
import { parseList, parseObject } from "../json.js";
import { readAll } from "../read-all.js";
import { inOrderOfRows, notBefore, pagesByRowId, toOptionalMillis, toOptionalTime, toTime } from "../rows.js";
import { list, prepareStatement, type Statement, set, toStatement } from "../statements.js";
import {
  checksumWithSeq,
  derivedOf,
  MAX_TITLE_CHARS,
  messageCount,
  toConversationDraft,
  toMessageDraft,
} from "./record.js";
import { purgeConversation, refreshVisibility } from "./removal.js";
import { ConversationRepository } from "./repository.js";
import { MESSAGE_TARGET } from "./search.js";

const c = conversations;
const m = messages;
const r = messageRefs;
const d = conversationSummaries;

const placeholder = sql.placeholder;
const isId = sql`project = ${placeholder("project")} and id = ${placeholder("id")}`;
const ownRow = sql`(select row_id from ${c} where ${isId})`;

const insertConversation = prepareStatement(sql`insert into ${c} (project, id, title, tags, metadata, parent_row_id,
    prefix_seq, forked_from_id, forked_from_seq, visible_seq, created_at, updated_at, deleted_at, purged_at)
  values (${placeholder("project")}, ${placeholder("id")}, ${placeholder("title")}, ${placeholder("tags")},
    ${placeholder("metadata")},
    (select row_id from ${c} where project = ${placeholder("project")} and id = ${placeholder("parentId")}),
    ${placeholder("prefixSeq")}, ${placeholder("forkedFromId")}, ${placeholder("forkedFromSeq")},
    ${placeholder("visibleSeq")}, ${placeholder("createdAt")}, ${placeholder("updatedAt")}, ${placeholder("deletedAt")},
    ${placeholder("purgedAt")})`);
/** In its place, since forks refer to the row. */
const replaceConversation = prepareStatement(
  sql`update ${c} set ${list([
    set(c.title, placeholder("title")),
    set(c.tags, placeholder("tags")),
    set(c.metadata, placeholder("metadata")),
    set(
      c.parentRowId,
      sql`(select row_id from ${c} as parent where parent.project = ${placeholder("project")} and parent.id = ${placeholder("parentId")})`,
    ),
    set(c.prefixSeq, placeholder("prefixSeq")),
    set(c.forkedFromId, placeholder("forkedFromId")),
    set(c.forkedFromSeq, placeholder("forkedFromSeq")),
    set(c.visibleSeq, placeholder("visibleSeq")),
    set(c.createdAt, placeholder("createdAt")),
    set(c.updatedAt, placeholder("updatedAt")),
    set(c.deletedAt, placeholder("deletedAt")),
    set(c.purgedAt, placeholder("purgedAt")),
  ])} where ${isId}`,
);
const deleteRefs = prepareStatement(sql`delete from ${r} where ${r.messageRowId} in
  (select ${m.rowId} from ${m} where ${m.conversationRowId} = ${ownRow})`);
const deleteMessages = prepareStatement(sql`delete from ${m} where ${m.conversationRowId} = ${ownRow}`);
const deleteSummaries = prepareStatement(sql`delete from ${d} where ${d.conversationRowId} = ${ownRow}`);
/** A conversation's row, how many messages it shows, how many of them its forks need, and whether it descends from itself. */
const selectPlace = prepareStatement(sql`with recursive line (row_id) as (
    select parent_row_id from ${c} where ${isId}
    union select ${c.parentRowId} from line join ${c} on ${c.rowId} = line.row_id)
  select ${c.rowId}, ${messageCount},
    (select max(fork.prefix_seq) from ${c} as fork where fork.parent_row_id = ${c.rowId}),
    exists (select 1 from line where line.row_id = ${c.rowId})
  from ${c} where ${isId}`);
const insertMessage =
  prepareStatement(sql`insert into ${m} (project, conversation_row_id, seq, id, role, content, metadata,
    tags, client_id, created_at, updated_at, checksum, search_text, sent_hash)
  select project, row_id, ${placeholder("seq")}, ${placeholder("messageId")}, ${placeholder("role")},
    ${placeholder("content")}, ${placeholder("metadata")}, ${placeholder("tags")}, ${placeholder("clientId")},
    ${placeholder("createdAt")}, ${placeholder("updatedAt")}, ${placeholder("checksum")}, ${placeholder("searchText")},
    ${placeholder("sentHash")}
  from ${c} where ${isId}`);
const insertRef = prepareStatement(sql`insert into ${r} (project, message_row_id, kind, target, score, created_at)
  select project, row_id, ${placeholder("kind")}, ${placeholder("target")}, ${placeholder("score")},
    ${placeholder("createdAt")} from ${m} where ${isId}`);
const insertSummary =
  prepareStatement(sql`insert into ${d} (project, conversation_row_id, id, date, title, text, created_at)
  values (${placeholder("project")}, ${ownRow}, ${placeholder("summaryId")}, ${placeholder("date")},
    ${placeholder("title")}, ${placeholder("text")}, ${placeholder("createdAt")})`);
/** Triggers have set it to the time of the last message. */
const storeTime = prepareStatement(sql`update ${c} set updated_at = ${placeholder("updatedAt")} where ${isId}`);
const storeSearchText = prepareStatement(
  sql`update ${m} set ${set(m.searchText, placeholder("searchText"))} where ${m.rowId} = ${placeholder("rowId")}
    and ${m.content} = ${placeholder("content")}`,
);

/** A conversation, unless it is deleted, and those of its own messages that can be seen: by its index, not by counting. */
const visibleRecords = sql`(${c.deletedAt} is null) + max(0, min(${c.visibleSeq}, coalesce((
  select max(${m.seq}) from ${m} where ${m.conversationRowId} = ${c.rowId}
), 0)) - ${c.prefixSeq})`;

/** Conversations with their own messages, refs and summaries; what a fork shares is with its parent, which comes first. */
export const conversationArea: Area<"conversations", ConversationRepository> = {
  name: "conversations",
  tables: [c, m, conversationTags, r, d],
  purgeOrder: [r, d, m, c, conversationTags],
  recordTables: [c, m],
  searchTargets: [MESSAGE_TARGET],
  counted: sql`select ${c.project}, ${visibleRecords} as records from ${c}`,
  isPrunedByDefault: true,
  table: sql`${c}`,

  open: (context) => new ConversationRepository(context),

  ids: (project) => sql`select ${c.id} from ${c} where ${c.project} = ${project} and ${c.purgedAt} is null
    union all select ${m.id} from ${m} where ${m.project} = ${project}`,

  async *pages(reader, project) {
    const columns = list([
      c.rowId,
      c.project,
      c.id,
      c.title,
      c.tags,
      c.metadata,
      c.prefixSeq,
      c.forkedFromId,
      c.forkedFromSeq,
      c.visibleSeq,
      c.createdAt,
      c.updatedAt,
      c.deletedAt,
      c.purgedAt,
    ]);
    const query = (after: number, limit: number) =>
      sql`select ${columns}, (select parent.id from ${c} as parent where parent.row_id = ${c.parentRowId}) from ${c}
        where ${c.rowId} > ${after}${inOrderOfRows(c.project, project)} order by ${c.rowId} limit ${limit}`;
    for await (const rows of pagesByRowId(reader, query)) {
      // One at a time: a conversation may be long.
      for (const row of rows) yield [{ project: row[1] as string, record: await toLine(reader, row) }];
    }
  },

  parse(lines, context, value): IncomingRecord {
    const line = lines.conversationLine.parse(value);
    const { project } = context;
    const { id, title, tags, metadata, parentId, prefixSeq } = line;
    const createdAt = Date.parse(line.createdAt);
    const draft = toConversationDraft(context, { id, title, tags, metadata, createdAt: new Date(createdAt) });
    if (parentId !== null) expectId(parentId, "parentId");
    else if (prefixSeq > 0) throw new TypeError("Expected `parentId`, since `prefixSeq` says that messages are shared");
    const updatedAt = notBefore(line.createdAt, line.updatedAt);
    const values = {
      project,
      id,
      title: draft.title,
      tags: draft.tags,
      metadata: draft.metadata,
      parentId,
      prefixSeq,
      forkedFromId: line.forkedFromId,
      forkedFromSeq: line.forkedFromSeq,
      visibleSeq: line.visibleSeq,
      createdAt,
      updatedAt,
      deletedAt: toOptionalMillis(line.deletedAt),
      purgedAt: toOptionalMillis(line.purgedAt),
    };
    const statements: Statement[] = [];
    for (const [
      index,
      { refs, seq, updatedAt: changedAt, createdAt: saidAt, sentHash, ...message },
    ] of line.messages.entries()) {
      if (seq !== prefixSeq + 1 + index)
        throw new RangeError(`Expected \`seq\` to be ${prefixSeq + 1 + index}, got ${seq}`);
      const checked = toMessageDraft(context, { ...message, createdAt: new Date(saidAt) });
      const [checksum, searchText, presentHash] = derivedOf(project, id, checked);
      const { id: messageId, derived: _none, ...columns } = checked;
      const updated = Date.parse(changedAt);
      const stored = checksumWithSeq(checksum, seq);
      const sent = columns.clientId === null ? null : (sentHash ?? presentHash);
      const derived = { checksum: stored, searchText, sentHash: sent };
      statements.push(
        insertMessage({ project, id, messageId, seq, ...columns, updatedAt: updated, ...derived }),
        ...context.repair(refs).map((ref) => {
          expectText("kind", ref.kind, 1000);
          expectText("target", ref.target, 10_000);
          return insertRef({ project, id: messageId, ...ref, createdAt: Date.parse(ref.createdAt) });
        }),
      );
    }
    for (const { id: summaryId, createdAt: writtenAt, date, title: heading, text } of context.repair(line.summaries)) {
      expectId(summaryId);
      if (!/^\d{4}-\d\d-\d\d$/.test(date)) throw new RangeError(`Expected \`date\` to be YYYY-MM-DD, got ${date}`);
      expectText("title", heading, MAX_TITLE_CHARS, 0);
      expectText("text", text, 1_000_000, 0);
      const summaryAt = Date.parse(writtenAt);
      statements.push(insertSummary({ project, id, summaryId, date, title: heading, text, createdAt: summaryAt }));
    }
    statements.push(storeTime({ project, id, updatedAt }));
    const clear = [deleteRefs, deleteMessages, deleteSummaries].map((remove) => remove({ project, id }));
    return {
      id,
      key: id,
      statements: [insertConversation(values), ...statements],
      replacement: [...clear, replaceConversation(values), ...statements],
    };
  },

  async existing(reader, project, keys) {
    const { rows } = await reader.execute(
      toStatement(sql`select ${c.id} from ${c} where ${c.project} = ${project}
        and ${c.id} in (select value from json_each(${JSON.stringify(keys)}))`),
    );
    return new Set(rows.map((row) => row[0] as string));
  },

  async settle(context, id) {
    const { project, executor } = context;
    const [place] = (await executor.execute(selectPlace({ project, id }))).rows;
    const [rowId, count, needed, isCircular] = Array.from(place as unknown as ArrayLike<unknown>, Number);
    const name = `Conversation ${JSON.stringify(id)}`;
    if (isCircular === 1) throw new StorageError("CONFLICT", `${name} would be a fork of its own fork`);
    if (needed! > count!) {
      throw new StorageError(
        "CONFLICT",
        `${name} has ${count} messages in the text, and a fork shows ${needed} of it: purge the fork first, or skip what is there`,
      );
    }
    await refreshVisibility(context, executor, rowId!);
  },

  async remove(context, id) {
    await purgeConversation(context, context.executor, id);
  },

  /** What forks share stays, so it is not counted. */
  prunable(project) {
    const shared = sql`coalesce((select max(fork.prefix_seq) from ${c} as fork where fork.parent_row_id = ${c.rowId}), 0)`;
    return sql`select ${c.project} as project, ${c.rowId} as row_id, ${c.id} as key, ${c.id} as id, ${c.deletedAt} is not null as is_deleted,
      ${c.updatedAt} as updated_at, coalesce((select sum(octet_length(${m.content})) from ${m}
        where ${m.conversationRowId} = ${c.rowId} and ${m.seq} > ${shared}), 0) as bytes
      from ${c} where ${c.purgedAt} is null${project === undefined ? sql`` : sql` and ${c.project} = ${project}`}`;
  },

  async *damaged(reader) {
    for await (const rows of pagesByRowId(reader, messagesToCheck)) {
      yield { read: rows.length, records: rows.flatMap((row) => partsThatDoNotFit(row)) };
    }
  },

  async *rederive(executor) {
    let seen = 0;
    for await (const rows of pagesByRowId(executor, messagesToCheck)) {
      const statements = rows
        .filter((row) => searchTextOf(row) !== row[13])
        .map((row) => {
          const content = row[6] as string;
          return storeSearchText({ rowId: Number(row[0]), content, searchText: searchTextOf(row) });
        });
      if (statements.length > 0) await executor.batch(statements);
      seen += rows.length;
      yield seen;
    }
  },
};

function messagesToCheck(after: number, limit: number) {
  const columns = list([
    m.rowId,
    m.project,
    c.id,
    m.id,
    m.seq,
    m.role,
    m.content,
    m.metadata,
    m.tags,
    m.clientId,
    m.createdAt,
    m.updatedAt,
    m.checksum,
    m.searchText,
  ]);
  return sql`select ${columns} from ${m} join ${c} on ${c.rowId} = ${m.conversationRowId}
    where ${m.rowId} > ${after} order by ${m.rowId} limit ${limit}`;
}

function partsThatDoNotFit(row: Row): DamagedRecord[] {
  const [project, conversationId, id] = [row[1], row[2], row[3]] as [string, string, string];
  const values = [project, conversationId, id, row[5], row[6], row[7], row[8], row[9], Number(row[10])];
  const expected = checksumWithSeq(checksumOf(values as (string | number | null)[]), Number(row[4]));
  // Null is a mark that the next search makes the terms.
  const isStale = row[13] !== null && row[13] !== searchTextOf(row);
  const part = expected !== row[12] ? "checksum" : isStale ? "search text" : undefined;
  return part === undefined ? [] : [{ project, id, part, table: "messages", rowId: Number(row[0]) }];
}

function searchTextOf(row: Row): string {
  return toSearchText(row[6] as string, searchScope(row[1] as string));
}

async function toLine(reader: Reader, row: Row): Promise<ConversationLine> {
  const rowId = Number(row[0]);
  const id = row[2] as string;
  const summaries = await readAll(
    reader,
    toStatement(sql`select ${list([d.id, d.date, d.title, d.text, d.createdAt])} from ${d}
      where ${d.conversationRowId} = ${rowId} order by ${d.rowId}`),
  );
  return {
    id,
    title: row[3] as string | null,
    tags: parseList(row[4], "conversations", id) as string[],
    metadata: parseObject(row[5], "conversations", id),
    parentId: row[14] as string | null,
    prefixSeq: Number(row[6]),
    forkedFromId: row[7] as string | null,
    forkedFromSeq: row[8] === null ? null : Number(row[8]),
    visibleSeq: Number(row[9]),
    createdAt: toTime(row[10]),
    updatedAt: toTime(row[11]),
    deletedAt: toOptionalTime(row[12]),
    purgedAt: toOptionalTime(row[13]),
    messages: await readMessages(reader, rowId),
    summaries: summaries.map((summary) => ({
      id: summary[0] as string,
      date: summary[1] as string,
      title: summary[2] as string,
      text: summary[3] as string,
      createdAt: toTime(summary[4]),
    })),
  };
}

async function readMessages(reader: Reader, conversationRowId: number): Promise<MessageLine[]> {
  const columns = list([
    m.rowId,
    m.id,
    m.seq,
    m.role,
    m.content,
    m.metadata,
    m.tags,
    m.clientId,
    m.createdAt,
    m.updatedAt,
    m.sentHash,
  ]);
  const rows = await readAll(
    reader,
    toStatement(sql`select ${columns} from ${m} where ${m.conversationRowId} = ${conversationRowId} order by ${m.seq}`),
  );
  const refs = new Map<number, MessageLine["refs"]>();
  const found = await readAll(
    reader,
    toStatement(sql`select ${list([r.messageRowId, r.kind, r.target, r.score, r.createdAt])} from ${m}
      join ${r} on ${r.messageRowId} = ${m.rowId} where ${m.conversationRowId} = ${conversationRowId} order by ${m.seq}, ${r.rowId}`),
  );
  for (const [owner, kind, target, score, createdAt] of found.map((row) => Array.from(row as ArrayLike<unknown>))) {
    const own = refs.get(Number(owner)) ?? [];
    own.push({
      kind: kind as string,
      target: target as string,
      score: score as number | null,
      createdAt: toTime(createdAt),
    });
    refs.set(Number(owner), own);
  }
  return rows.map((row) => ({
    id: row[1] as string,
    seq: Number(row[2]),
    role: row[3] as MessageLine["role"],
    content: row[4] as string,
    metadata: parseObject(row[5], "messages", row[1]),
    tags: parseList(row[6], "messages", row[1] as string) as string[],
    clientId: row[7] as string | null,
    ...(row[10] === null ? {} : { sentHash: row[10] as string }),
    refs: refs.get(Number(row[0])) ?? [],
    createdAt: toTime(row[8]),
    updatedAt: toTime(row[9]),
  }));
}
