// Checked by `npm run typecheck`: what must compile, and what must not.
import type { Client } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { MultiDirectedGraph } from "graphology";
import {
  type BatchOptions,
  type CheckpointResult,
  type ClientTransaction,
  type ConnectionPool,
  type GraphEdge,
  type GraphNode,
  type GraphPattern,
  type GraphRepository,
  type Memory,
  type MemoryInput,
  type MemoryRepository,
  type OnConflict,
  openStorage,
  type Page,
  type PoolStats,
  type ProjectTransaction,
  type Savepoint,
  type SearchResult,
  type StatementCacheStats,
  type StorageClient,
  type StorageTransaction,
  type UpdateMessageOptions,
  type WriteStats,
} from "holdfast";
import { createClient, type PooledClient, type Transaction } from "holdfast/client";
import { memories } from "holdfast/schema";
import { defineBackend, openStories, type StoryMetadata, type StoryService } from "holdfast/stories";

const local: PooledClient = createClient({ url: "file:a.db", readers: 2, durability: "relaxed" });
const drop: Client = local;
drizzle({ client: drop });
local.stats().statements.hitRate satisfies number;

interface NoteMetadata {
  file: string;
  line?: number;
}
const notes = (await openStorage(":memory:")).project("notes").memories.withMetadata<NoteMetadata>();
const note = await notes.insert({ content: "a", metadata: { file: "a.ts" } });
note.metadata satisfies NoteMetadata;
(await notes.list()).items[0]!.metadata.line satisfies number | undefined;
(await notes.search("a"))[0]!.memory.metadata.file satisfies string;
(await notes.nearest([1], { model: "m" }))[0]!.memory.metadata.file satisfies string;
await notes.update(note.id, { metadata: { file: "b.ts", line: 1 } });
await notes.put("b", note);
// @ts-expect-error `file` is missing.
await notes.insert({ content: "a", metadata: { line: 1 } });
// @ts-expect-error `metadata` is missing.
await notes.insert({ content: "a" });
// @ts-expect-error `metadata` is missing.
await notes.insertMany([{ content: "a" }]);
// @ts-expect-error `metadata` is missing.
await notes.put("a", { content: "a" });
await notes.insertMany([note, { ...note, id: "c" }]);
await notes.update(note.id, { content: "b" });
// @ts-expect-error Not a part of the metadata.
note.metadata.path;
note satisfies Memory<NoteMetadata>;
await notes.search("a", { metadata: { file: "a.ts" } });
await notes.list({ metadata: { line: 1 } });
await notes.count({ metadata: {} });
// @ts-expect-error Not a key of the metadata.
await notes.search("a", { metadata: { path: "a.ts" } });
// @ts-expect-error Not a value of that key.
await notes.list({ metadata: { line: "1" } });
// @ts-expect-error Not a key of the metadata.
await notes.nearest([1], { model: "m", metadata: { path: "a.ts" } });
const anyNotes = (await openStorage(":memory:")).memories;
await anyNotes.insert({ content: "a" });
await anyNotes.withMetadata<{ line?: number }>().insert({ content: "a" });
await anyNotes.withMetadata<Record<string, string>>().insert({ content: "a" });
// biome-ignore lint/suspicious/noExplicitAny: callers may use it.
await anyNotes.withMetadata<any>().insert({ content: "a" });
anyNotes.withMetadata<{ file: string }>() satisfies MemoryRepository;
notes satisfies MemoryRepository<object>;
({}) as MemoryInput<{ file: string }> satisfies MemoryInput;
const copyOf = async <M extends object>(repository: MemoryRepository<M>, id: string) => {
  const { metadata, content } = await repository.require(id);
  await repository.insertMany([{ content, metadata }, await repository.require(id)]);
  await repository.update(id, await repository.require(id));
  await repository.insert({ content });
};
await copyOf(notes, "a");
await anyNotes.search("a", { metadata: { whatever: [1] } });

const chats = (await openStorage(":memory:")).conversations.withMetadata<{ agent: string }, { tokens?: number }>();
const chat = await chats.insert({
  metadata: { agent: "a" },
  messages: [{ role: "user", content: "x", metadata: { tokens: 1 } }],
});
chat.metadata.agent satisfies string;
(await chats.append(chat.id, { role: "user", content: "x" })).metadata.tokens satisfies number | undefined;
(await chats.messages(chat.id)).items[0]!.metadata.tokens satisfies number | undefined;
(await chats.search("x"))[0]!.message.metadata.tokens satisfies number | undefined;
await chats.list({ metadata: { agent: "a" } });
// @ts-expect-error Not a key of the metadata.
await chats.list({ metadata: { tokens: 1 } });
// @ts-expect-error `agent` is missing.
await chats.insert({ metadata: {} });
// @ts-expect-error `metadata` is missing.
await chats.insert();
// @ts-expect-error `metadata` is missing.
await chats.insertMany([{ title: "a" }]);
await chats.update(chat.id, { title: "a" });
const anyChats = (await openStorage(":memory:")).conversations;
await anyChats.insert();
await anyChats.insert({ messages: [{ role: "user", content: "x" }] });
const turns = anyChats.withMetadata<object, { tokens: number }>();
await turns.insert();
await turns.append(chat.id, [{ role: "user", content: "x", metadata: { tokens: 1 } }]);
await turns.updateMessage("m", { content: "x" });
// @ts-expect-error `metadata` is missing.
await turns.append(chat.id, { role: "user", content: "x" });
// @ts-expect-error `metadata` is missing.
await turns.insert({ messages: [{ role: "user", content: "x" }] });
// @ts-expect-error Not a part of the metadata of messages.
await chats.append(chat.id, { role: "user", content: "x", metadata: { agent: "a" } });

const runs = (await openStorage(":memory:")).sessions.withMetadata<{ host: string }>();
(await runs.start("r", { metadata: { host: "a" } })).metadata.host satisfies string;
(await runs.latest())[0]!.metadata.host satisfies string;
// @ts-expect-error Not a part of the metadata.
await runs.start("r", { metadata: { port: 1 } });
// @ts-expect-error `metadata` is missing.
await runs.start("r");
// @ts-expect-error `metadata` is missing.
await runs.start("r", { startedAt: 1 });
// @ts-expect-error `metadata` is missing.
await runs.insertMany([{ id: "r" }]);
await runs.start(undefined, { metadata: { host: "a" } });
const anyRuns = (await openStorage(":memory:")).sessions;
await anyRuns.start();
await anyRuns.start("r", { startedAt: 1 });
await anyRuns.insertMany([{}]);

const remote = createClient({ url: process.env.URL ?? "" });
remote satisfies StorageClient;
remote.pool.acquire() satisfies Promise<unknown>;
remote.stats().remote?.requests satisfies number | undefined;
(await remote.checkpoint()).logFrames satisfies number;
const transaction: ClientTransaction & Transaction = await remote.transaction("write");
const mark: Savepoint = await transaction.savepoint();
await transaction.rollbackTo(mark);
await transaction.release(mark);
transaction.state satisfies "active" | "committed" | "rolledBack";
transaction.depth satisfies number;
(await transaction.execute("SELECT ?", [1])).rows satisfies unknown[];
remote.close() satisfies Promise<void>;

// @ts-expect-error: no such durability
createClient({ url: "file:a.db", durability: "best" });

const storage = await openStorage();
storage.client satisfies StorageClient & Client;
storage.client.pool satisfies ConnectionPool;
(await storage.client.checkpoint()) satisfies CheckpointResult;
const { pool, statements, writes } = storage.client.stats();
pool satisfies PoolStats;
statements satisfies StatementCacheStats;
writes satisfies WriteStats;
storage.client.pool.acquire({ role: "writer" }) satisfies Promise<unknown>;
(await storage.client.transaction()).savepoint() satisfies Promise<Savepoint>;
// @ts-expect-error: the guard of a storage is its own
storage.client.guard = undefined;
(await storage.memories.list()) satisfies Page<Memory>;
(await storage.memories.search("x")) satisfies SearchResult[];
(await storage.db.select({ id: memories.id }).from(memories)) satisfies { id: string }[];
const returned: number = await storage.transaction(async (tx: StorageTransaction) => {
  await tx.project("p").memories.insert({ content: "x" });
  return 1;
});
returned satisfies number;

await storage.project("p").transaction(async (tx: ProjectTransaction) => {
  // @ts-expect-error: a project's transaction reaches no other project
  tx.project("other");
  // @ts-expect-error: nor the database
  tx.db;
});

const batch: BatchOptions = { onConflict: "skip" satisfies OnConflict };
await storage.memories.insertMany([], batch);
const update: UpdateMessageOptions = { mustExist: true };
await storage.conversations.updateMessage("m", { content: "x" }, update);

// @ts-expect-error: content is required
await storage.memories.insert({});
// @ts-expect-error: a mode that does not exist
await storage.memories.search("x", { mode: "fuzzy" });
// @ts-expect-error: records are read-only
(await storage.memories.require("x")).content = "y";
// @ts-expect-error: an event that does not exist
storage.on("changed", () => undefined);

const graph = storage.graph;
const calls = await graph.match([
  { as: "f", kind: "function" },
  { type: "calls", direction: "out" },
  { as: "g", label: "public", where: { size: { gt: 5 } } },
]);
calls satisfies readonly { readonly f: GraphNode; readonly g: GraphNode }[];
// @ts-expect-error: the pattern binds no h
calls[0]?.h;
const pattern: GraphPattern = [{ as: "f" }];
(await graph.match(pattern))[0]!.f satisfies GraphNode | undefined;
// @ts-expect-error: a direction that does not exist
await graph.bfs("a", { direction: "up" });
// @ts-expect-error: kind and name are required
await graph.addNode({ id: "a" });
(await graph.toGraphology(MultiDirectedGraph)) satisfies MultiDirectedGraph;
(await graph.findNodes()) satisfies Page<GraphNode>;
graph.export() satisfies AsyncIterable<string>;
await graph.addNode({ kind: "file", name: "a" });
await graph.addEdge({ from: "a", to: "b", type: "imports", data: { any: 1 } });

const code = graph.withData<{ lines: number; owner?: string }, { line?: number }>();
const file = await code.addNode({ kind: "file", name: "a", data: { lines: 1 } });
file satisfies GraphNode<{ lines: number; owner?: string }>;
await code.addNodes([file, { kind: "file", name: "b", data: { lines: 2, owner: "o" } }]);
(await code.putNode(file)).data.owner satisfies string | undefined;
(await code.requireNode(file.id)).data.lines satisfies number;
(await code.findNodes({ where: { lines: { gt: 1 }, "owner.name": "o" } })).items[0]!.data.lines satisfies number;
await code.updateNode(file.id, { name: "c" });
const edge = await code.addEdge({ from: file.id, to: file.id, type: "imports" });
edge satisfies GraphEdge<{ line?: number }>;
await code.addEdges([edge]);
(await code.edges()).items[0]!.data.line satisfies number | undefined;
(await code.updateEdge(edge.id, { data: { line: 1 } }))?.data.line satisfies number | undefined;
(await code.match([{ as: "f" }, {}, { as: "g" }]))[0]!.f.data.lines satisfies number;
(await code.subgraph([file.id])).nodes[0]!.data.lines satisfies number;
(await code.subgraph({ start: file.id })).edges[0]!.data.line satisfies number | undefined;
code satisfies GraphRepository;
// @ts-expect-error `data` is missing.
await code.addNode({ kind: "file", name: "a" });
// @ts-expect-error `lines` is missing.
await code.putNode({ kind: "file", name: "a", data: { owner: "o" } });
// @ts-expect-error Not a part of the data.
await code.updateNode(file.id, { data: { lines: 1, size: 1 } });
// @ts-expect-error Not a part of the data.
file.data.size;
// @ts-expect-error Not a part of the data of edges.
await code.addEdge({ from: file.id, to: file.id, type: "imports", data: { lines: 1 } });
// @ts-expect-error `at` is missing.
await graph.withData<object, { at: number }>().addEdge({ from: "a", to: "b", type: "imports" });
const renamed = async <D extends object>(repository: GraphRepository<D>, id: string) => {
  const node = await repository.requireNode(id);
  await repository.updateNode(id, node);
  return repository.putNode({ ...node, name: "d" });
};
(await renamed(code, "a")).data.lines satisfies number;
const stories: StoryService = storage.project("p").stories;
(await stories.saveStory("a", { n: 1 }, { expectedRevision: 0 })) satisfies StoryMetadata;
(await stories.loadStory<{ n: number }>("a")) satisfies { n: number } | undefined;
stories.on(
  "story_saved",
  ({ id, data, isNew }) => [id, data, isNew] satisfies [string, Record<string, unknown>, boolean],
);
// @ts-expect-error: an event that does not exist
stories.on("saved", () => undefined);
// @ts-expect-error: a story is an object
stories.saveStory("a", "text");
// @ts-expect-error: a backend by another name
openStories({ backend: "mongo" });
// @ts-expect-error: a backend has to do more than load
defineBackend({ load: async () => undefined });
