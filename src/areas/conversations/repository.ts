import { sql } from "drizzle-orm";
import { conversations } from "../../schema/conversations.js";
import { searchScope, toSearchTextInSlices } from "../../search/terms.js";
import { expectArray, expectation } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { definedOnly, expectId, expectLimit } from "../arguments.js";
import { type BatchOptions, checkEach, isOfRecord, toOnConflict } from "../batch.js";
import { type ChangeAction, type RepositoryContext, removing } from "../context.js";
import { decodeCursor, encodeCursor, type Page } from "../cursor.js";
import { asStorageErrors, type Executor } from "../executor.js";
import { prepareStatement, set, touch } from "../statements.js";
import { appendMessages } from "./append.js";
import { atTakenConversation, atTakenMessage, insertConversationsOver } from "./batch.js";
import { findMessage, noConversation, noMessage, readChain, requireChain } from "./chain.js";
import { expectForkOptions, type ForkOptions, findConversation, forkConversation } from "./fork.js";
import { draftToConversation, insertConversations, type NewDraft, toNewDraft } from "./insert.js";
import { type ListConversationsOptions, listConversations } from "./list.js";
import {
  type AppendedMessage,
  type Conversation,
  type ConversationPatch,
  conversationAt,
  conversationColumns,
  deriveLong,
  expectRole,
  haveLong,
  type Message,
  type MessageInput,
  type MessagePatch,
  type MessageRole,
  type NewConversation,
  toConversation,
  toConversationDraft,
  toMessageDraft,
} from "./record.js";
import { linkRef, type MessageRef, type MessageRefInput, messagesByRef, readRefs, unlinkRef } from "./refs.js";
import { deleteConversation, purgeConversation, restoreConversation } from "./removal.js";
import { type MessageSearchResult, type SearchMessagesOptions, searchMessages } from "./search.js";
import {
  addSummary,
  type ConversationSummary,
  listSummaries,
  type SummaryFilter,
  type SummaryInput,
} from "./summaries.js";
import { changeTags, countTags, expectTags, type TagCount } from "./tags.js";
import { type ConversationDocument, checkDocument, exportConversation, importConversation } from "./transfer.js";
import { updateMessageRow } from "./update.js";
import { readWindow, resolveWindowOptions, type WindowOptions } from "./window.js";

export interface ListMessagesOptions {
  /** Only those after this `seq`. */
  readonly after?: number | undefined;
  /** Only those before this `seq`. */
  readonly before?: number | undefined;
  readonly roles?: readonly MessageRole[] | undefined;
  /** @default 50 */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

const c = conversations;
const selectMany = prepareStatement(sql`select ${conversationColumns} from ${c}
  where ${c.project} = ${sql.placeholder("project")} and ${c.deletedAt} is null
  and ${c.id} in (select value from json_each(${sql.placeholder("ids")}))`);
const updateRow = prepareStatement(sql`update ${c} set ${set(c.title, sql.placeholder("title"))},
  ${set(c.tags, sql.placeholder("tags"))}, ${set(c.metadata, sql.placeholder("metadata"))},
  ${touch(c.updatedAt, c.createdAt)}
  where ${c.project} = ${sql.placeholder("project")} and ${c.id} = ${sql.placeholder("id")} and ${c.deletedAt} is null`);

export interface UpdateMessageOptions {
  /** Whether an unknown id is `NOT_FOUND` instead of undefined. @default false */
  readonly mustExist?: boolean | undefined;
}

/** The conversations of one project and their messages. Nothing of another project can be read or changed through it. */
export class ConversationRepository {
  readonly #context: RepositoryContext;

  /** @internal */
  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  /**
   * Makes a conversation, with its first messages if there are any. Rejects with `CONFLICT` if the project has one of
   * the ids already, for a conversation or a message, deleted ones included.
   */
  async insert(input: NewConversation = {}): Promise<Conversation> {
    let drafts = [toNewDraft(this.#context, input)];
    if (haveLong(drafts[0]!.messages)) drafts = await this.#deriveLong(drafts);
    const [conversation] = await this.#insertAll(drafts);
    return conversation!;
  }

  /**
   * Makes all of them, with their messages, or none. What loads most in the least time: a thousand messages share a
   * statement, whichever conversations they belong to. An error about one of them has its `index` and `id`, and the
   * `messageIndex` where it is about one of its messages.
   *
   * With `onConflict`, a taken id is no error, and the answer holds what is stored now, in the order of `inputs`:
   * `replace` puts the messages given in the place of those that were there. Rejects with `CONFLICT` all the same where
   * a fork shows messages that would go, or where the id of a message is taken.
   */
  async insertMany(inputs: readonly NewConversation[], options: BatchOptions = {}): Promise<Conversation[]> {
    expectArray("inputs", inputs, "conversations");
    const onConflict = toOnConflict("insertMany", options);
    let drafts = checkEach(inputs, (input) => toNewDraft(this.#context, input));
    if (drafts.length === 0) return [];
    if (drafts.some(({ messages }) => haveLong(messages))) drafts = await this.#deriveLong(drafts);
    if (onConflict === "fail") {
      return this.#insertAll(drafts).catch(async (error: unknown) => {
        throw isOfRecord(error) ? await atTakenConversation(this.#context, error, drafts) : error;
      });
    }
    const { conversations, inserted, updated } = await asStorageErrors(() =>
      insertConversationsOver(this.#context, drafts, onConflict),
    );
    if (inserted.length > 0) this.#announce("insert", ...inserted);
    if (updated.length > 0) this.#announce("update", ...updated);
    return conversations;
  }

  async #deriveLong(drafts: readonly NewDraft[]): Promise<NewDraft[]> {
    const made: NewDraft[] = [];
    for (const draft of drafts) {
      made.push({ ...draft, messages: await deriveLong(this.#context.project, draft.id, draft.messages) });
    }
    return made;
  }

  async #insertAll(drafts: readonly NewDraft[]): Promise<Conversation[]> {
    const time = new Date(this.#context.now());
    const statements = insertConversations({ ...this.#context, now: () => time.getTime() }, drafts);
    await asStorageErrors(async () =>
      statements.length === 1
        ? this.#context.executor.execute(statements[0]!)
        : this.#context.executor.batch(statements),
    );
    this.#announce(
      "insert",
      ...drafts.map(({ id }) => id),
      ...drafts.flatMap(({ messages }) => messages.map(({ id }) => id)),
    );
    return drafts.map((draft) => draftToConversation(this.#context.project, draft, time));
  }

  /**
   * Stores messages at the end of a conversation, each with the next `seq`: all of them, or none. A message whose
   * `clientId` the conversation has already is not stored again: the answer is what was stored first, with `repeated`.
   * Rejects with `NOT_FOUND`, and with `CONFLICT` if an id is taken, or if what came under that `clientId` first had
   * other content, role or metadata (as it was sent, whatever `updateMessage` has made of it).
   */
  append(conversationId: string, message: MessageInput): Promise<AppendedMessage>;
  append(conversationId: string, messages: readonly MessageInput[]): Promise<AppendedMessage[]>;
  async append(
    conversationId: string,
    input: MessageInput | readonly MessageInput[],
  ): Promise<AppendedMessage | AppendedMessage[]> {
    expectId(conversationId, "conversationId");
    if (Array.isArray(input)) expectArray("messages", input, "messages");
    const inputs = Array.isArray(input) ? (input as readonly MessageInput[]) : [input as MessageInput];
    const isBatch = Array.isArray(input);
    const toDraft = (one: MessageInput) => toMessageDraft(this.#context, one);
    const drafts = isBatch ? checkEach(inputs, toDraft) : inputs.map(toDraft);
    const { executor } = this.#context;
    const { messages, stored } = await asStorageErrors(async () => {
      if (drafts.length > 0) return appendMessages(this.#context, executor, conversationId, drafts);
      await requireChain(this.#context, executor, conversationId);
      return { messages: [], stored: [] };
    }).catch(async (error: unknown) => {
      throw isBatch && isOfRecord(error) ? await atTakenMessage(this.#context, executor, error, drafts) : error;
    });
    this.#announce("insert", ...stored);
    return isBatch ? messages : messages[0]!;
  }

  async get(id: string, options: { readonly includeDeleted?: boolean } = {}): Promise<Conversation | undefined> {
    expectId(id);
    expectKeys("get", options, ["includeDeleted"]);
    const found = await asStorageErrors(() => findConversation(this.#context, this.#context.executor, id));
    return found?.deletedAt === null || options.includeDeleted === true ? found : undefined;
  }

  /** The conversations that exist among `ids`, in the order of `ids`. */
  async getMany(ids: readonly string[]): Promise<Conversation[]> {
    expectArray("ids", ids, "ids");
    checkEach(ids, (id) => expectId(id));
    const { project, executor } = this.#context;
    const { rows } = await asStorageErrors(() => executor.execute(selectMany({ project, ids: JSON.stringify(ids) })));
    const byId = new Map(rows.map((row) => [row[conversationAt.id] as string, toConversation(project, row)]));
    return ids.flatMap((id) => byId.get(id) ?? []);
  }

  /** Rejects with `NOT_FOUND` when `get` would find nothing. */
  async require(id: string): Promise<Conversation> {
    return (await this.get(id)) ?? Promise.reject(noConversation(this.#context, id));
  }

  /** A page of conversations, by default the one updated last first. */
  list(options: ListConversationsOptions = {}): Promise<Page<Conversation>> {
    return asStorageErrors(() => listConversations(this.#context, options));
  }

  /** Changes the fields given; undefined when unknown or deleted. */
  async update(id: string, patch: ConversationPatch): Promise<Conversation | undefined> {
    expectId(id);
    expectKeys("a patch", patch, ["title", "tags", "metadata"]);
    const changes = definedOnly(patch);
    const checked = toConversationDraft(this.#context, changes);
    const updated = await this.#atomically(async (executor) => {
      const known = await findConversation(this.#context, executor, id);
      if (known === undefined || known.deletedAt !== null) return undefined;
      const { title, tags, metadata } = checked;
      const kept = { title: known.title, tags: JSON.stringify(known.tags), metadata: JSON.stringify(known.metadata) };
      const given = definedOnly({
        title: "title" in changes ? title : undefined,
        tags: "tags" in changes ? tags : undefined,
        metadata: "metadata" in changes ? metadata : undefined,
      });
      const { project, now } = this.#context;
      await executor.execute(updateRow({ ...kept, ...given, project, id, now: now() }));
      return findConversation(this.#context, executor, id);
    });
    if (updated !== undefined) this.#announce("update", id);
    return updated;
  }

  /** Hides a conversation and its messages; what living forks share with it is still found there. False if there is none. */
  async delete(id: string): Promise<boolean> {
    return this.#remove("delete", id, (executor) => deleteConversation(this.#context, executor, id));
  }

  /** Undoes `delete`. False if there is no deleted conversation of this id. */
  async restore(id: string): Promise<boolean> {
    return this.#remove("restore", id, (executor) => restoreConversation(this.#context, executor, id));
  }

  /** Removes a conversation for good, with messages, refs and summaries; forks keep what they show. False if there is none. */
  async purge(id: string): Promise<boolean> {
    const isGone = await removing(this.#context, () =>
      this.#remove("purge", id, (executor) => purgeConversation(this.#context, executor, id)),
    );
    if (isGone) await this.#context.erase?.();
    return isGone;
  }

  /** A page of messages, in `seq` order. Rejects with `NOT_FOUND`. */
  async messages(id: string, options: ListMessagesOptions = {}): Promise<Page<Message>> {
    expectId(id);
    expectKeys("messages", options, ["after", "before", "roles", "limit", "cursor"]);
    const { after = 0, before = Number.POSITIVE_INFINITY, roles, limit = 50, cursor } = options;
    expectSeq("after", after);
    expectSeq("before", before);
    if (roles !== undefined) {
      expectArray("roles", roles, "roles");
      for (const role of roles) expectRole("roles", role);
    }
    expectLimit(limit);
    const from = cursor === undefined ? after : Math.max(after, decodeCursor("messages", cursor).key);
    const { executor } = this.#context;
    const found = await asStorageErrors(async () => {
      const chain = await requireChain(this.#context, executor, id);
      return readChain(this.#context, executor, chain, { after: from, before, roles, limit: limit + 1 });
    });
    const items = found.slice(0, limit);
    const last = items.at(-1);
    const hasMore = found.length > limit && last !== undefined;
    return { items, nextCursor: hasMore ? encodeCursor("messages", { key: last.seq, rowId: 0 }) : undefined };
  }

  /** One message, by its id. */
  async message(id: string): Promise<Message | undefined> {
    expectId(id);
    return asStorageErrors(() => findMessage(this.#context, this.#context.executor, id));
  }

  /** What to give a model: the newest messages that fit every limit. See {@link WindowOptions}. Rejects with `NOT_FOUND` and `WINDOW_TOO_SMALL`. */
  async window(id: string, options: WindowOptions = {}): Promise<Message[]> {
    expectId(id);
    const limits = resolveWindowOptions(options);
    const { executor } = this.#context;
    return asStorageErrors(async () => {
      const chain = await requireChain(this.#context, executor, id);
      return readWindow(this.#context, executor, chain, limits);
    });
  }

  /**
   * Changes what a message says, as streaming and redaction need. Forks show the change too. One that is unknown, purged
   * say, is undefined; with `mustExist`, it is `NOT_FOUND`, so that a stream does not go on into nothing.
   */
  updateMessage(id: string, patch: MessagePatch, options: { readonly mustExist: true }): Promise<Message>;
  updateMessage(id: string, patch: MessagePatch, options?: UpdateMessageOptions): Promise<Message | undefined>;
  async updateMessage(
    id: string,
    patch: MessagePatch,
    options: UpdateMessageOptions = {},
  ): Promise<Message | undefined> {
    expectId(id);
    expectKeys("updateMessage", options, ["mustExist"]);
    const { mustExist = false } = options;
    if (typeof mustExist !== "boolean") throw new TypeError(expectation("mustExist", "a boolean", mustExist));
    expectKeys("a patch", patch, ["content", "metadata"]);
    const changes = definedOnly(patch);
    const checked = toMessageDraft(this.#context, { role: "user", content: "", ...changes });
    const searchText =
      "content" in changes
        ? await toSearchTextInSlices(checked.content, searchScope(this.#context.project))
        : undefined;
    const updated = await this.#atomically(async (executor) => {
      const known = await findMessage(this.#context, executor, id);
      if (known === undefined) return undefined;
      const content = "content" in changes ? checked.content : known.content;
      const metadata = "metadata" in changes ? JSON.parse(checked.metadata) : known.metadata;
      const message: Message = { ...known, content, metadata };
      await updateMessageRow(this.#context, executor, message, searchText);
      return message;
    });
    if (updated !== undefined) this.#announce("update", id);
    else if (mustExist) throw noMessage(this.#context, id);
    return updated;
  }

  /** The messages that answer `text` best. Takes any text; `match` tells how each was found. */
  search(text: string, options: SearchMessagesOptions = {}): Promise<MessageSearchResult[]> {
    return asStorageErrors(() => searchMessages(this.#context, text, options));
  }

  /** Notes that a message refers to something; once more updates the score. Rejects with `NOT_FOUND`. */
  async linkRef(messageId: string, ref: MessageRefInput): Promise<MessageRef> {
    const linked = await asStorageErrors(() => linkRef(this.#context, messageId, this.#context.repair(ref)));
    this.#announce("update", messageId);
    return linked;
  }

  /** False if there is no such ref. */
  async unlinkRef(messageId: string, ref: Pick<MessageRefInput, "kind" | "target">): Promise<boolean> {
    const isGone = await asStorageErrors(() => unlinkRef(this.#context, messageId, this.#context.repair(ref)));
    if (isGone) this.#announce("update", messageId);
    return isGone;
  }

  /** What a message refers to, in the order in which it was linked. */
  refs(messageId: string): Promise<MessageRef[]> {
    return asStorageErrors(() => readRefs(this.#context, messageId));
  }

  /** The messages that refer to something, oldest first. */
  byRef(kind: string, target: string): Promise<Message[]> {
    return asStorageErrors(() =>
      messagesByRef(this.#context, this.#context.repair(kind), this.#context.repair(target)),
    );
  }

  /** Adds tags to the conversation or the message of this id; resolves to all it has now. Rejects with `NOT_FOUND`. */
  async tag(id: string, ...tags: string[]): Promise<string[]> {
    const added = expectTags(id, this.#context.repair(tags));
    const changed = await this.#atomically((executor) =>
      changeTags(this.#context, executor, id, (known) => [...new Set([...known, ...added])]),
    );
    if (changed === undefined) throw noConversation(this.#context, id);
    if (changed.after.length > changed.before.length) this.#announce("update", id);
    return [...changed.after];
  }

  /** Removes tags from the conversation or the message of this id. False if it had none of them, or is unknown. */
  async untag(id: string, ...tags: string[]): Promise<boolean> {
    const removed = new Set(expectTags(id, this.#context.repair(tags)));
    const changed = await this.#atomically((executor) =>
      changeTags(this.#context, executor, id, (known) => known.filter((tag) => !removed.has(tag))),
    );
    const isChanged = changed !== undefined && changed.after.length < changed.before.length;
    if (isChanged) this.#announce("update", id);
    return isChanged;
  }

  /** The tags in use with how many conversations and messages carry each, most frequent first, ties by name. */
  tags(): Promise<TagCount[]> {
    return asStorageErrors(() => countTags(this.#context));
  }

  /** Stores a summary of a day. Rejects with `NOT_FOUND`. */
  async addSummary(conversationId: string, summary: SummaryInput): Promise<ConversationSummary> {
    const added = await asStorageErrors(() => addSummary(this.#context, conversationId, this.#context.repair(summary)));
    this.#announce("insert", added.id);
    return added;
  }

  /** Summaries, newest date first, of one date the latest added first. */
  summaries(filter: SummaryFilter = {}): Promise<ConversationSummary[]> {
    return asStorageErrors(() => listSummaries(this.#context, filter));
  }

  /**
   * Makes a conversation that shows the messages of another up to `atSeq`, and goes on from there by itself. They are
   * the same records, not copies. Rejects with `NOT_FOUND`.
   */
  async fork(id: string, given: ForkOptions = {}): Promise<Conversation> {
    expectId(id);
    expectKeys("fork", given, ["atSeq", "title", "id"]);
    const options = { ...given, title: this.#context.repair(given.title) };
    expectForkOptions(options);
    const fork = await this.#atomically((executor) => forkConversation(this.#context, executor, id, options));
    this.#announce("insert", fork.id);
    return fork;
  }

  /** A whole conversation as JSON, what it shares with others included. Rejects with `NOT_FOUND`. */
  async export(id: string): Promise<ConversationDocument> {
    expectId(id);
    return this.#atomically((executor) => exportConversation(this.#context, executor, id));
  }

  /**
   * Stores an exported conversation under its own ids: what is there already stays as it is, so importing twice changes
   * nothing. Rejects with TypeError or RangeError on junk, with `CONFLICT` if its ids are taken by something else.
   */
  async import(document: ConversationDocument): Promise<Conversation> {
    const checked = checkDocument(this.#context, document);
    const { conversation, isNew, stored } = await this.#atomically((executor) =>
      importConversation(this.#context, executor, checked),
    );
    this.#announce("insert", ...(isNew ? [conversation.id] : []), ...stored);
    return conversation;
  }

  async #remove(action: ChangeAction, id: string, work: (executor: Executor) => Promise<boolean>): Promise<boolean> {
    expectId(id);
    const isDone = await this.#atomically(work);
    if (isDone) this.#announce(action, id);
    return isDone;
  }

  #atomically<T>(work: (executor: Executor) => Promise<T>): Promise<T> {
    return asStorageErrors(() => this.#context.executor.atomically(work));
  }

  #announce(action: ChangeAction, ...ids: string[]): void {
    if (ids.length > 0) this.#context.announce({ project: this.#context.project, area: "conversations", action, ids });
  }
}

function expectSeq(name: string, value: unknown): void {
  if (value === Number.POSITIVE_INFINITY) return;
  if (typeof value !== "number" || !Number.isSafeInteger(value)) {
    throw new (typeof value === "number" ? RangeError : TypeError)(expectation(name, "a `seq`", value));
  }
}
