import type { Row } from "@libsql/client";
import { type AnyColumn, type SQL, sql } from "drizzle-orm";
import {
  conversationSummaries,
  conversations,
  conversationTags,
  messageRefs,
  messages,
} from "../../schema/conversations.js";
import { StorageError } from "../../shared/errors.js";
import { expectText } from "../../shared/expectation.js";
import type { Area, DamagedRecord, IncomingRecord, OutgoingRecord, Reader } from "../area.js";
import { expectId } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import { withoutJson } from "../json.js";
import { readAll } from "../read-all.js";
import {
  inOrderOfRows,
  notBefore,
  pagesByRowId,
  toExported,
  toOptionalMillis,
  toOptionalTime,
  toTime,
} from "../rows.js";
import { rederiveTerms } from "../search-backlog.js";
import { list, names, prepareStatement, selection, set, toStatement } from "../statements.js";
import { insertStoredMessages, type StoredMessage } from "./insert.js";
import type { ConversationLine, MessageLine } from "./line.js";
import {
  checksumOfMessage,
  conversationParts,
  derivedOf,
  isChecksum,
  messageCount,
  messageParts,
  messagesWithOwner,
  toConversation,
  toConversationDraft,
  toMessage,
  toMessageDraft,
  toStoredDraft,
} from "./record.js";
import { insertRef, refParts, toRef } from "./refs.js";
import { purgeConversation, refreshVisibility } from "./removal.js";
import { ConversationRepository } from "./repository.js";
import { MESSAGE_TARGET } from "./search.js";
import { expectSummary, insertStoredSummary, summariesWithOwner, summaryColumns, toSummary } from "./summaries.js";

const c = conversations;
const m = messages;
const r = messageRefs;
const d = conversationSummaries;

const placeholder = sql.placeholder;
const isId = sql`project = ${placeholder("project")} and id = ${placeholder("id")}`;
const ownRow = sql`(select row_id from ${c} where ${isId})`;

/** The columns that an import gives a conversation, with their values. */
const given: readonly (readonly [AnyColumn, SQL])[] = [
  ...(
    [
      "title",
      "tags",
      "metadata",
      "prefixSeq",
      "forkedFromId",
      "forkedFromSeq",
      "visibleSeq",
      "createdAt",
      "updatedAt",
      "deletedAt",
      "purgedAt",
    ] as const
  ).map((name) => [c[name], sql`${placeholder(name)}`] as const),
  [
    c.parentRowId,
    sql`(select row_id from ${c} as parent where parent.project = ${placeholder("project")} and parent.id = ${placeholder("parentId")})`,
  ],
];
const insertConversation = prepareStatement(
  () => sql`insert into ${c}
  (project, id, ${names(given.map(([column]) => column))})
  values (${placeholder("project")}, ${placeholder("id")}, ${list(given.map(([, value]) => value))})`,
);
/** Keeps the row, because forks refer to it. */
const replaceConversation = prepareStatement(
  () => sql`update ${c} set ${list(given.map(([column, value]) => set(column, value)))} where ${isId}`,
);
const deleteRefs = prepareStatement(
  () => sql`delete from ${r} where ${r.messageRowId} in
  (select ${m.rowId} from ${m} where ${m.conversationRowId} = ${ownRow})`,
);
const deleteMessages = prepareStatement(() => sql`delete from ${m} where ${m.conversationRowId} = ${ownRow}`);
const deleteSummaries = prepareStatement(() => sql`delete from ${d} where ${d.conversationRowId} = ${ownRow}`);
/** How many messages a conversation shows, how many of them its forks need, and whether it descends from itself. */
const place = selection({
  rowId: c.rowId,
  count: messageCount,
  needed: sql`(select max(fork.prefix_seq) from ${c} as fork where fork.parent_row_id = ${c.rowId})`,
  isCircular: sql`exists (select 1 from line where line.row_id = ${c.rowId})`,
});
const selectPlace = prepareStatement(
  () => sql`with recursive line (row_id) as (
    select parent_row_id from ${c} where ${isId}
    union select ${c.parentRowId} from line join ${c} on ${c.rowId} = line.row_id)
  select ${place.columns} from ${c} where ${isId}`,
);
/** Runs last: the triggers of the messages have changed the time. */
const storeTime = prepareStatement(() => sql`update ${c} set updated_at = ${placeholder("updatedAt")} where ${isId}`);

/** The conversation, unless it is deleted, and its own visible messages. The index gives their number without counting. */
const visibleRecords = sql`(${c.deletedAt} is null) + max(0, min(${c.visibleSeq}, coalesce((
  select max(${m.seq}) from ${m} where ${m.conversationRowId} = ${c.rowId}
), 0)) - ${c.prefixSeq})`;

const conversation = selection({
  ...conversationParts,
  project: c.project,
  parentId: sql`(select parent.id from ${c} as parent where parent.row_id = ${c.parentRowId})`,
  prefixSeq: c.prefixSeq,
  visibleSeq: c.visibleSeq,
  purgedAt: c.purgedAt,
});
const message = selection({ ...messageParts, updatedAt: m.updatedAt, sentHash: m.sentHash });
const ref = selection({ ...refParts, messageRowId: r.messageRowId });
const checked = selection({ ...messageParts, project: m.project, checksum: m.checksum });

/** Conversations with their own messages, refs and summaries. The messages that a fork shares belong to its parent, which comes first. */
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
    const isOf = inOrderOfRows(c.project, project);
    for await (const rows of pagesByRowId(reader, sql`select ${conversation.columns} from ${c}`, c.rowId, isOf)) {
      // One record at a time, because a conversation may be long.
      for (const row of rows) yield [await toRecord(reader, row)];
    }
  },

  loadLine: () => import("./line.js"),

  parse(context, line: ConversationLine): IncomingRecord {
    const { project, repair } = context;
    const { id, title, tags, metadata, parentId, prefixSeq, forkedFromId, forkedFromSeq, visibleSeq } = line;
    const createdAt = new Date(line.createdAt);
    const draft = toConversationDraft(context, { id, title, tags, metadata, createdAt });
    if (parentId !== null) expectId(parentId, "parentId");
    else if (prefixSeq > 0) throw new TypeError("Expected `parentId`, since `prefixSeq` says that messages are shared");
    const updatedAt = notBefore(line.createdAt, line.updatedAt);
    const deletedAt = toOptionalMillis(line.deletedAt);
    const purgedAt = toOptionalMillis(line.purgedAt);
    const shared = { parentId, prefixSeq, forkedFromId, forkedFromSeq, visibleSeq };
    const values = { project, ...draft, ...shared, updatedAt, deletedAt, purgedAt };
    const statements = [
      ...insertStoredMessages(
        project,
        id,
        line.messages.map((message, index) => toStored(context, id, message, prefixSeq + 1 + index)),
      ),
      ...line.messages.flatMap((message) =>
        repair(message.refs).map(({ createdAt: linkedAt, ...ref }) => {
          expectText("kind", ref.kind, 1000);
          expectText("target", ref.target, 10_000);
          return insertRef({ project, id: message.id, ...ref, createdAt: Date.parse(linkedAt) });
        }),
      ),
      ...repair(line.summaries).map(({ id: summaryId, createdAt: writtenAt, ...summary }) => {
        expectId(summaryId);
        expectSummary(summary);
        const createdAt = Date.parse(writtenAt);
        return insertStoredSummary({ project, conversationId: id, id: summaryId, ...summary, createdAt });
      }),
      storeTime({ project, id, updatedAt }),
    ];
    const clear = [deleteRefs, deleteMessages, deleteSummaries].map((remove) => remove({ project, id }));
    return {
      id,
      key: id,
      statements: [insertConversation(values), ...statements],
      replacement: [...clear, replaceConversation(values), ...statements],
    };
  },

  existing: { "": sql`${c}` },

  async settle(context, id) {
    const { project, executor } = context;
    const row = (await executor.execute(selectPlace({ project, id }))).rows[0]!;
    const [count, needed] = [Number(row[place.at.count]), Number(row[place.at.needed])];
    const name = `Conversation ${JSON.stringify(id)}`;
    if (Number(row[place.at.isCircular]) === 1)
      throw new StorageError("CONFLICT", `${name} would be a fork of its own fork`);
    if (needed > count) {
      throw new StorageError(
        "CONFLICT",
        `${name} has ${count} messages in the text, but a fork shows ${needed} of them: purge the fork first, or set \`onConflict\` to "skip"`,
      );
    }
    await refreshVisibility(context, executor, Number(row[place.at.rowId]));
  },

  async remove(context, id) {
    await purgeConversation(context, context.executor, id);
  },

  /** Messages that forks share are kept, so they are not counted. */
  prunable(project) {
    const shared = sql`coalesce((select max(fork.prefix_seq) from ${c} as fork where fork.parent_row_id = ${c.rowId}), 0)`;
    return sql`select ${c.project} as project, ${c.rowId} as row_id, ${c.id} as key, ${c.id} as id, ${c.deletedAt} is not null as is_deleted,
      ${c.updatedAt} as updated_at, coalesce((select sum(octet_length(${m.content})) from ${m}
        where ${m.conversationRowId} = ${c.rowId} and ${m.seq} > ${shared}), 0) as bytes
      from ${c} where ${c.purgedAt} is null${project === undefined ? sql`` : sql` and ${c.project} = ${project}`}`;
  },

  async *damaged(reader) {
    yield* withoutJson(reader, c, [c.metadata]);
    for await (const rows of pagesByRowId(reader, sql`select ${checked.columns} from ${messagesWithOwner}`, m.rowId)) {
      yield { read: rows.length, records: rows.flatMap((row) => partsThatDoNotFit(row)) };
    }
  },

  rederive: (executor) => rederiveTerms(executor, MESSAGE_TARGET),
};

/** A message of an import, to be stored as it was. */
function toStored(
  context: RepositoryContext,
  conversationId: string,
  { refs, seq, updatedAt, createdAt, sentHash, ...input }: MessageLine,
  expected: number,
): StoredMessage {
  if (seq !== expected) throw new RangeError(`Expected \`seq\` to be ${expected}, got ${seq}`);
  const draft = toMessageDraft(context, { ...input, createdAt: new Date(createdAt) });
  const [checksum, searchText, presentHash] = derivedOf(context.project, conversationId, draft);
  const sent = draft.clientId === null ? null : (sentHash ?? presentHash);
  return { draft: { ...draft, derived: [checksum, searchText, sent] }, seq, updatedAt: Date.parse(updatedAt) };
}

function partsThatDoNotFit(row: Row): DamagedRecord[] {
  const { at } = checked;
  const [project, conversationId, id] = [row[at.project], row[at.conversationId], row[at.id]] as [
    string,
    string,
    string,
  ];
  const checksum = checksumOfMessage(project, conversationId, toStoredDraft(row));
  const isChanged = !isChecksum(row[at.checksum], checksum, Number(row[at.seq]));
  return isChanged ? [{ project, id, part: "checksum", table: "messages", rowId: Number(row[at.rowId]) }] : [];
}

async function toRecord(reader: Reader, row: Row): Promise<OutgoingRecord> {
  const { at } = conversation;
  const rowId = Number(row[at.rowId]);
  const owner = row[at.project] as string;
  const { project, messageCount, forkedFrom, deletedAt, ...own } = toConversation(owner, row);
  const record: ConversationLine = {
    ...toExported(own),
    parentId: row[at.parentId] as string | null,
    prefixSeq: Number(row[at.prefixSeq]),
    forkedFromId: forkedFrom?.id ?? null,
    forkedFromSeq: forkedFrom?.seq ?? null,
    visibleSeq: Number(row[at.visibleSeq]),
    deletedAt: toOptionalTime(row[at.deletedAt]),
    purgedAt: toOptionalTime(row[at.purgedAt]),
    messages: await readMessages(reader, rowId),
    summaries: await readSummaries(reader, rowId),
  };
  return { project: owner, record };
}

async function readMessages(reader: Reader, conversationRowId: number): Promise<MessageLine[]> {
  const isOwn = sql`${m.conversationRowId} = ${conversationRowId}`;
  const rows = await readAll(
    reader,
    toStatement(sql`select ${message.columns} from ${messagesWithOwner} where ${isOwn} order by ${m.seq}`),
  );
  const refs = new Map<number, MessageLine["refs"]>();
  const found = await readAll(
    reader,
    toStatement(sql`select ${ref.columns} from ${m} join ${r} on ${r.messageRowId} = ${m.rowId} where ${isOwn}
      order by ${m.seq}, ${r.rowId}`),
  );
  for (const row of found) {
    const owner = Number(row[ref.at.messageRowId]);
    const { messageId, ...own } = toRef("", row);
    refs.set(owner, [...(refs.get(owner) ?? []), toExported(own)]);
  }
  const { at } = message;
  return rows.map((row) => {
    const { conversationId, ...own } = toMessage(row);
    const sentHash = row[at.sentHash] as string | null;
    return {
      ...toExported(own),
      ...(sentHash === null ? {} : { sentHash }),
      refs: refs.get(Number(row[at.rowId])) ?? [],
      updatedAt: toTime(row[at.updatedAt]),
    };
  });
}

async function readSummaries(reader: Reader, conversationRowId: number): Promise<ConversationLine["summaries"]> {
  const rows = await readAll(
    reader,
    toStatement(sql`select ${summaryColumns} from ${summariesWithOwner}
      where ${d.conversationRowId} = ${conversationRowId} order by ${d.rowId}`),
  );
  return rows.map((row) => {
    const { conversationId, ...own } = toSummary(row);
    return toExported(own);
  });
}
