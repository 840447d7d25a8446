import type { Row } from "@libsql/client";
import { sql } from "drizzle-orm";
import { conversations } from "../../schema/conversations.js";
import { searchScope, toGiven, toSearchTextInSlices } from "../../search/terms.js";
import { expectArray, expectation, toBoolean } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { definedOnly, expectId, expectLimit } from "../arguments.js";
import { type BatchOptions, checkEach, isOfRecord, type OnConflict, toOnConflict } from "../batch.js";
import { type ChangeAction, type RepositoryContext, removing } from "../context.js";
import { decodeCursor, encodeCursor, type Page, toPage } from "../cursor.js";
import { type Executor, finishing } from "../executor.js";
import type { IfOptional, Metadata } from "../metadata.js";
import { announce, notFound, readMany, runAll } from "../repository.js";
import { prepareStatement } from "../statements.js";
import { appendMessages } from "./append.js";
import { atTakenConversation, atTakenMessage, insertConversationsOver } from "./batch.js";
import { findMessage, readChain, requireChain } from "./chain.js";
import { type ForkOptions, findConversation, forkConversation, toForkOptions } from "./fork.js";
import { draftToConversation, insertConversations, type NewDraft, toNewDraft, withDerived } from "./insert.js";
import { type ListConversationsOptions, listConversations } from "./list.js";
import {
  type AppendedMessage,
  type Conversation,
  type ConversationPatch,
  conversationColumns,
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
import { updateConversation, updateMessage } from "./update.js";
import { readWindow, resolveWindowOptions, type WindowOptions } from "./window.js";

/** Which messages `messages` lists. */
export interface ListMessagesOptions {
  /** Only those after this `seq`. */
  readonly after?: number | undefined;
  /** Only those before this `seq`. */
  readonly before?: number | undefined;
  /** Only messages with one of these roles. */
  readonly roles?: readonly MessageRole[] | undefined;
  /** The most messages of a page. @default 50 */
  readonly limit?: number | undefined;
  /** The `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
}

const c = conversations;
const selectMany = prepareStatement(
  () => sql`select ${conversationColumns} from ${c}
  where ${c.project} = ${sql.placeholder("project")} and ${c.deletedAt} is null
  and ${c.id} in (select value from json_each(${sql.placeholder("ids")}))`,
);
/** The options of `updateMessage`. */
export interface UpdateMessageOptions {
  /** Whether an unknown id is `NOT_FOUND` instead of undefined. @default false */
  readonly mustExist?: boolean | undefined;
}

/** The conversations of one project and their messages. It cannot read or change those of another project. */
export class ConversationRepository<C extends object = Metadata, M extends object = Metadata> {
  readonly #context: RepositoryContext;

  /** @internal */
  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  /**
   * The same repository, whose conversations have metadata of the type `Thread`, and whose messages have metadata of the
   * type `Turn`. If a type has required keys, a new record needs `metadata`. Only the compiler knows the types: nothing
   * checks stored metadata, and a record that was stored without metadata has `{}`.
   */
  withMetadata<Thread extends object, Turn extends object = Metadata>(): ConversationRepository<Thread, Turn> {
    return this as unknown as ConversationRepository<Thread, Turn>;
  }

  /**
   * Makes a conversation, with its first messages if there are any. Rejects with `CONFLICT` if the project has one of
   * the ids already, for a conversation or a message, deleted ones included. `input` is required if the type of the
   * metadata has required keys.
   */
  insert(
    ...args: IfOptional<C, [input?: NewConversation<C, M>], [input: NewConversation<C, M>]>
  ): Promise<Conversation<C>>;
  async insert(input: NewConversation<object, object> = {}): Promise<Conversation<C>> {
    const [conversation] = await this.#deriveThen([toNewDraft(this.#context, input)], (drafts) =>
      this.#insertAll(drafts),
    );
    return conversation!;
  }

  /**
   * Makes all of them, with their messages, or none. This is the fastest way to load messages: a thousand of them share a
   * statement, also those of different conversations. An error about a conversation has its `index` and `id`; one about
   * a message has its `messageIndex` too.
   *
   * With `onConflict`, a taken id is no error, and the answer holds what is stored now, in the order of `inputs`:
   * `replace` replaces the messages too. It still rejects with `CONFLICT` if a fork shows messages that would be removed,
   * or if the id of a message is taken.
   */
  async insertMany(inputs: readonly NewConversation<C, M>[], options: BatchOptions = {}): Promise<Conversation<C>[]> {
    expectArray("inputs", inputs, "conversations");
    const onConflict = toOnConflict("insertMany", options);
    const drafts = checkEach(inputs, (input) => toNewDraft(this.#context, input));
    if (drafts.length === 0) {
      this.#context.executor.assertOutside?.();
      return [];
    }
    return this.#deriveThen(drafts, (derived) => this.#insertMany(derived, onConflict));
  }

  /** Derives the columns of long messages first, if there are any. */
  #deriveThen<T>(drafts: readonly NewDraft[], store: (drafts: readonly NewDraft[]) => Promise<T>): Promise<T> {
    if (!drafts.some(({ messages }) => haveLong(messages))) return store(drafts);
    const { executor, project } = this.#context;
    return finishing(executor, async () => store(await withDerived(project, drafts)));
  }

  async #insertMany(drafts: readonly NewDraft[], onConflict: OnConflict): Promise<Conversation<C>[]> {
    if (onConflict === "fail") {
      return this.#insertAll(drafts).catch(async (error: unknown) => {
        throw isOfRecord(error) ? await atTakenConversation(this.#context, error, drafts) : error;
      });
    }
    const { conversations, inserted, updated } = await insertConversationsOver(this.#context, drafts, onConflict);
    this.#announce("insert", inserted);
    this.#announce("update", updated);
    return conversations as Conversation<C>[];
  }

  async #insertAll(drafts: readonly NewDraft[]): Promise<Conversation<C>[]> {
    const time = new Date(this.#context.now());
    const statements = insertConversations({ ...this.#context, now: () => time.getTime() }, drafts);
    await runAll(this.#context.executor, statements);
    this.#announce("insert", [
      ...drafts.map(({ id }) => id),
      ...drafts.flatMap(({ messages }) => messages.map(({ id }) => id)),
    ]);
    return drafts.map((draft) => draftToConversation(this.#context.project, draft, time) as Conversation<C>);
  }

  /**
   * Stores messages at the end of a conversation, each with the next `seq`: all of them, or none. A message whose
   * `clientId` the conversation has already is not stored again: the answer is the stored one, with `repeated`. Rejects
   * with `NOT_FOUND`, and with `CONFLICT` if an id is taken, or if the first message with that `clientId` was sent with
   * other content, role or metadata (later changes by `updateMessage` do not count).
   */
  append(conversationId: string, message: MessageInput<M>): Promise<AppendedMessage<M>>;
  append(conversationId: string, messages: readonly MessageInput<M>[]): Promise<AppendedMessage<M>[]>;
  async append(
    conversationId: string,
    input: MessageInput<M> | readonly MessageInput<M>[],
  ): Promise<AppendedMessage<M> | AppendedMessage<M>[]> {
    expectId(conversationId, "conversationId");
    const isBatch = Array.isArray(input);
    if (isBatch) expectArray("messages", input, "messages");
    const inputs = (isBatch ? input : [input]) as readonly MessageInput<M>[];
    const toDraft = (one: MessageInput<M>) => toMessageDraft(this.#context, one);
    const drafts = isBatch ? checkEach(inputs, toDraft) : inputs.map(toDraft);
    const { executor } = this.#context;
    if (drafts.length === 0) {
      executor.assertOutside?.();
      await requireChain(this.#context, executor, conversationId);
      return [];
    }
    const { messages, stored } = await appendMessages(this.#context, executor, conversationId, drafts).catch(
      async (error: unknown) => {
        throw isBatch && isOfRecord(error) ? await atTakenMessage(this.#context, executor, error, drafts) : error;
      },
    );
    this.#announce("insert", stored);
    return (isBatch ? messages : messages[0]!) as AppendedMessage<M> | AppendedMessage<M>[];
  }

  /** The conversation with this id; undefined if there is none, or if it is deleted without `includeDeleted`. */
  async get(id: string, options: { readonly includeDeleted?: boolean } = {}): Promise<Conversation<C> | undefined> {
    expectId(id);
    expectKeys("get", options, ["includeDeleted"]);
    const includeDeleted = toBoolean("includeDeleted", options.includeDeleted);
    const found = await findConversation(this.#context, this.#context.executor, id);
    return (found?.deletedAt === null || includeDeleted ? found : undefined) as Conversation<C> | undefined;
  }

  /** The conversations that exist among `ids`, in the order of `ids`. */
  getMany(ids: readonly string[]): Promise<Conversation<C>[]> {
    const toRecord = (row: Row) => toConversation(this.#context.project, row) as Conversation<C>;
    return readMany(this.#context, ids, selectMany, toRecord);
  }

  /** The conversation with this id. Rejects with `NOT_FOUND` if `get` would find nothing. */
  async require(id: string): Promise<Conversation<C>> {
    return (await this.get(id)) ?? Promise.reject(notFound(this.#context, "conversation", id));
  }

  /** A page of conversations, by default the one updated last first. */
  list(options: ListConversationsOptions<C> = {}): Promise<Page<Conversation<C>>> {
    return listConversations(this.#context, options as ListConversationsOptions) as Promise<Page<Conversation<C>>>;
  }

  /** Changes the fields given, `tags` and `metadata` as a whole; undefined when unknown or deleted. */
  async update(id: string, patch: ConversationPatch<C>): Promise<Conversation<C> | undefined> {
    expectId(id);
    expectKeys("a patch", patch, ["title", "tags", "metadata"]);
    const given = definedOnly(patch);
    const { title, tags, metadata } = toConversationDraft(this.#context, given);
    const changes = {
      ...("title" in given ? { title } : {}),
      ...("tags" in given ? { tags } : {}),
      ...("metadata" in given ? { metadata } : {}),
    };
    const updated = await this.#context.executor.atomically((executor) =>
      updateConversation(this.#context, executor, id, changes),
    );
    if (updated !== undefined) this.#announce("update", [id]);
    return updated as Conversation<C> | undefined;
  }

  /** Hides a conversation and its messages; forks still show and find the messages that they share. False if there is none. */
  async delete(id: string): Promise<boolean> {
    return this.#remove("delete", id, (executor) => deleteConversation(this.#context, executor, id));
  }

  /** Undoes `delete`. False if there is no deleted conversation with this id. */
  async restore(id: string): Promise<boolean> {
    return this.#remove("restore", id, (executor) => restoreConversation(this.#context, executor, id));
  }

  /** Removes a conversation permanently, with messages, refs and summaries; forks keep the messages that they show. False if there is none. */
  async purge(id: string): Promise<boolean> {
    const isGone = await removing(this.#context, () =>
      this.#remove("purge", id, (executor) => purgeConversation(this.#context, executor, id)),
    );
    if (isGone) await this.#context.erase?.();
    return isGone;
  }

  /** A page of messages, in `seq` order. Rejects with `NOT_FOUND` if there is no such conversation. */
  async messages(id: string, options: ListMessagesOptions = {}): Promise<Page<Message<M>>> {
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
    const chain = await requireChain(this.#context, executor, id);
    const found = await readChain(this.#context, executor, chain, { after: from, before, roles, limit: limit + 1 });
    return toPage(
      found,
      limit,
      (message) => message as Message<M>,
      ({ seq }) => encodeCursor("messages", { key: seq, rowId: 0 }),
    );
  }

  /** One message, by its id. */
  async message(id: string): Promise<Message<M> | undefined> {
    expectId(id);
    return findMessage(this.#context, this.#context.executor, id) as Promise<Message<M> | undefined>;
  }

  /** The newest messages that fit every limit, for a model. See {@link WindowOptions}. Rejects with `NOT_FOUND` or `WINDOW_TOO_SMALL`. */
  async window(id: string, options: WindowOptions = {}): Promise<Message<M>[]> {
    expectId(id);
    const limits = resolveWindowOptions(options);
    const { executor } = this.#context;
    const chain = await requireChain(this.#context, executor, id);
    return (await readWindow(this.#context, executor, chain, limits)) as Message<M>[];
  }

  /**
   * Changes the content or metadata of a message, for streaming and redaction. Forks show the change too. If the message is
   * unknown, for example purged, the answer is undefined. With `mustExist` the call rejects with `NOT_FOUND`, so that a
   * stream can end.
   */
  updateMessage(id: string, patch: MessagePatch<M>, options: { readonly mustExist: true }): Promise<Message<M>>;
  updateMessage(id: string, patch: MessagePatch<M>, options?: UpdateMessageOptions): Promise<Message<M> | undefined>;
  async updateMessage(
    id: string,
    patch: MessagePatch<M>,
    options: UpdateMessageOptions = {},
  ): Promise<Message<M> | undefined> {
    expectId(id);
    expectKeys("updateMessage", options, ["mustExist"]);
    const mustExist = toBoolean("mustExist", options.mustExist);
    expectKeys("a patch", patch, ["content", "metadata"]);
    const given = definedOnly(patch);
    const checked = toMessageDraft(this.#context, { role: "user", content: "", ...given });
    const hasContent = "content" in given;
    const changes = {
      ...(hasContent ? { content: checked.content } : {}),
      ...("metadata" in given ? { metadata: checked.metadata } : {}),
    };
    const scope = searchScope(this.#context.project);
    const updated = await finishing(this.#context.executor, async () => {
      const searchText = hasContent ? toGiven(await toSearchTextInSlices(checked.content, scope)) : undefined;
      return updateMessage(this.#context, id, changes, searchText);
    });
    if (updated !== undefined) this.#announce("update", [id]);
    else if (mustExist) throw notFound(this.#context, "message", id);
    return updated as Message<M> | undefined;
  }

  /** The messages that match `text` best. Takes any text; `match` says which strategy found each. */
  search(text: string, options: SearchMessagesOptions = {}): Promise<MessageSearchResult<M>[]> {
    return searchMessages(this.#context, text, options) as Promise<MessageSearchResult<M>[]>;
  }

  /** Links a message to something. Linking again updates the score. Rejects with `NOT_FOUND` if there is no such message. */
  async linkRef(messageId: string, ref: MessageRefInput): Promise<MessageRef> {
    const linked = await linkRef(this.#context, messageId, this.#context.repair(ref));
    this.#announce("update", [messageId]);
    return linked;
  }

  /** Removes a ref. False if there is no such ref. */
  async unlinkRef(messageId: string, ref: Pick<MessageRefInput, "kind" | "target">): Promise<boolean> {
    const isGone = await unlinkRef(this.#context, messageId, this.#context.repair(ref));
    if (isGone) this.#announce("update", [messageId]);
    return isGone;
  }

  /** The refs of a message, in the order in which they were linked. */
  refs(messageId: string): Promise<MessageRef[]> {
    return readRefs(this.#context, messageId);
  }

  /** The messages that refer to something, oldest first. */
  byRef(kind: string, target: string): Promise<Message<M>[]> {
    const { repair } = this.#context;
    return messagesByRef(this.#context, repair(kind), repair(target)) as Promise<Message<M>[]>;
  }

  /** Adds tags to the conversation or message with this id; resolves to all of its tags. `NOT_FOUND` if there is neither. */
  async tag(id: string, ...tags: string[]): Promise<string[]> {
    const added = expectTags(id, this.#context.repair(tags));
    const changed = await this.#context.executor.atomically((executor) =>
      changeTags(this.#context, executor, id, (known) => [...new Set([...known, ...added])]),
    );
    if (changed === undefined) throw notFound(this.#context, "conversation", id);
    if (changed.after.length > changed.before.length) this.#announce("update", [id]);
    return [...changed.after];
  }

  /** Removes tags from the conversation or message with this id. False if it had none of them, or is unknown. */
  async untag(id: string, ...tags: string[]): Promise<boolean> {
    const removed = new Set(expectTags(id, this.#context.repair(tags)));
    const changed = await this.#context.executor.atomically((executor) =>
      changeTags(this.#context, executor, id, (known) => known.filter((tag) => !removed.has(tag))),
    );
    const isChanged = changed !== undefined && changed.after.length < changed.before.length;
    if (isChanged) this.#announce("update", [id]);
    return isChanged;
  }

  /** The tags in use with how many conversations and messages carry each, most frequent first, ties by name. */
  tags(): Promise<TagCount[]> {
    return countTags(this.#context);
  }

  /** Stores a summary of a day. Rejects with `NOT_FOUND` if there is no such conversation. */
  async addSummary(conversationId: string, summary: SummaryInput): Promise<ConversationSummary> {
    const added = await addSummary(this.#context, conversationId, this.#context.repair(summary));
    this.#announce("insert", [added.id]);
    return added;
  }

  /** Summaries, newest date first; of the same date, the one added last comes first. */
  summaries(filter: SummaryFilter = {}): Promise<ConversationSummary[]> {
    return listSummaries(this.#context, filter);
  }

  /**
   * Makes a conversation that shows the messages of another one up to `atSeq` and continues separately. The shared messages
   * are the same records, not copies. It takes the title, but neither tags nor metadata. Rejects with `NOT_FOUND` if there is no such conversation.
   */
  async fork(id: string, options: ForkOptions = {}): Promise<Conversation<C>> {
    expectId(id);
    const checked = toForkOptions(this.#context, options);
    const fork = await this.#context.executor.atomically((executor) =>
      forkConversation(this.#context, executor, id, checked),
    );
    this.#announce("insert", [fork.id]);
    return fork as Conversation<C>;
  }

  /** A whole conversation as JSON, including the messages that it shares. Rejects with `NOT_FOUND` if there is none. */
  async export(id: string): Promise<ConversationDocument> {
    expectId(id);
    return this.#context.executor.atomically((executor) => exportConversation(this.#context, executor, id));
  }

  /**
   * Stores an exported conversation with its ids. Existing records stay as they are, so importing twice changes nothing.
   * Rejects with TypeError or RangeError if the document is invalid, and with `CONFLICT` if other records have its ids.
   */
  async import(document: ConversationDocument): Promise<Conversation<C>> {
    const checked = checkDocument(this.#context, document);
    const { conversation, isNew, stored } = await this.#context.executor.atomically((executor) =>
      importConversation(this.#context, executor, checked),
    );
    this.#announce("insert", [...(isNew ? [conversation.id] : []), ...stored]);
    return conversation as Conversation<C>;
  }

  async #remove(action: ChangeAction, id: string, work: (executor: Executor) => Promise<boolean>): Promise<boolean> {
    expectId(id);
    const isDone = await this.#context.executor.atomically(work);
    if (isDone) this.#announce(action, [id]);
    return isDone;
  }

  #announce(action: ChangeAction, ids: readonly string[]): void {
    announce(this.#context, "conversations", action, ids);
  }
}

function expectSeq(name: string, value: unknown): void {
  if (value === Number.POSITIVE_INFINITY) return;
  if (typeof value !== "number" || !Number.isSafeInteger(value)) {
    throw new (typeof value === "number" ? RangeError : TypeError)(expectation(name, "a `seq`", value));
  }
}
