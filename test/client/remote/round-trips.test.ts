import { readFileSync } from "node:fs";
import { openStorage, type Storage } from "holdfast";
import { expect, test } from "vitest";
import { startServer } from "../../support/server.js";

const embedding = [1, 2];
const model = "m";

/** What the table in docs/guides/servers.md speaks of, in an order in which each finds what it needs. */
const CALLS: Readonly<Record<string, (storage: Storage) => Promise<unknown>>> = {
  "memories.insert": ({ memories }) => memories.insert({ id: "known", content: "the kubernetes cluster" }),
  "memories.insertMany": ({ memories }) => memories.insertMany([{ content: "a" }, { content: "b" }]),
  "memories.put": ({ memories }) => memories.put("known", { content: "the kubernetes cluster" }),
  "memories.get, require, find": ({ memories }) => memories.get("known"),
  "memories.getMany": ({ memories }) => memories.getMany(["known", "unknown"]),
  "memories.list, count, stats": ({ memories }) => memories.stats(),
  "memories.timeline": ({ memories }) => memories.timeline({ around: "known" }),
  "memories.update": ({ memories }) => memories.update("known", { source: "test" }),
  "memories.delete": ({ memories }) => memories.delete("known"),
  "memories.restore": ({ memories }) => memories.restore("known"),
  "memories.setEmbedding": ({ memories }) => memories.setEmbedding("known", embedding, { model }),
  "memories.nearest": ({ memories }) => memories.nearest(embedding, { model }),
  "memories.search, a word found": ({ memories }) => memories.search("cluster"),
  "memories.search, part of a word": ({ memories }) => memories.search("ubernete"),
  "memories.search, nothing found": ({ memories }) => memories.search("zzyzx"),
  "memories.search with an embedding": ({ memories }) =>
    memories.search("cluster", { embedding, embeddingModel: model }),
  "memories.findDuplicates, unembedded": ({ memories }) => memories.findDuplicates(),
  "memories.dropModel": ({ memories }) => memories.dropModel(model),
  "memories.purge": ({ memories }) => memories.purge("known"),
  "sessions.start": ({ sessions }) => sessions.start("s"),
  "sessions.end": ({ sessions }) => sessions.end("s"),
  "sessions.get, list, latest, active": ({ sessions }) => sessions.active(),
  "conversations.insert": ({ conversations }) => conversations.insert({ id: "talk" }),
  "conversations.insertMany, with messages": ({ conversations }) =>
    conversations.insertMany(["a", "b"].map((content) => ({ messages: [{ role: "user", content }] }))),
  "conversations.append, one or many": ({ conversations }) =>
    conversations.append("talk", [
      { id: "turn", role: "user", content: "which region?" },
      { role: "assistant", content: "Ireland" },
    ]),
  "conversations.get": ({ conversations }) => conversations.get("talk"),
  "conversations.messages": ({ conversations }) => conversations.messages("talk"),
  "conversations.window": ({ conversations }) => conversations.window("talk", { lastMessages: 10 }),
  "conversations.list": ({ conversations }) => conversations.list(),
  "conversations.search, a word found": ({ conversations }) => conversations.search("region"),
  "conversations.fork": ({ conversations }) => conversations.fork("talk"),
  "conversations.linkRef": ({ conversations }) => conversations.linkRef("turn", { kind: "file", target: "a.ts" }),
  "conversations.updateMessage": ({ conversations }) => conversations.updateMessage("turn", { content: "which one?" }),
  "conversations.export": ({ conversations }) => conversations.export("talk"),
  "graph.addNodes": ({ graph }) => graph.addNodes(["a", "b"].map((id) => ({ id, kind: "k", name: id }))),
  "graph.addEdge": ({ graph }) => graph.addEdge({ id: "e", from: "a", to: "b", type: "t" }),
  "graph.getNode": ({ graph }) => graph.getNode("a"),
  "graph.bfs, the graph read": ({ graph }) => graph.bfs("a"),
  "graph.bfs, the graph in memory": ({ graph }) => graph.bfs("a"),
  "graph.neighbors": ({ graph }) => graph.neighbors("a"),
  "graph.shortestPath": ({ graph }) => graph.shortestPath("a", "b"),
  "graph.findNodes": ({ graph }) => graph.findNodes({ kind: "k" }),
  "stories.saveStory": ({ stories }) => stories.saveStory("s", { title: "A" }),
  "stories.loadStory, from the cache": ({ stories }) => stories.loadStory("s"),
  "stories.loadStory, skipCache": ({ stories }) => stories.loadStory("s", { skipCache: true }),
  "stories.listStories": ({ stories }) => stories.listStories(),
  "stories.updateMetadata": ({ stories }) => stories.updateMetadata("s", { tags: ["x"] }),
  "stories.revisions": ({ stories }) => stories.revisions("s"),
  "stories.deleteStory": ({ stories }) => stories.deleteStory("s"),
  "transaction without a statement": (storage) => storage.transaction(async () => undefined),
  "transaction of n inserts: n + 1, here n = 3": (storage) =>
    storage.transaction(async (tx) => {
      for (const content of ["a", "b", "c"]) await tx.memories.insert({ content });
    }),
  "transaction of one insertMany": (storage) =>
    storage.transaction((tx) => tx.memories.insertMany([{ content: "a" }, { content: "b" }])),
  "savepoint around one insert, in a transaction": (storage) =>
    storage.transaction((tx) => tx.savepoint((inner) => inner.memories.insert({ content: "a" }))),
  projects: (storage) => storage.projects(),
  stats: (storage) => storage.stats(),
  health: (storage) => storage.health(),
  purgeProject: (storage) => storage.purgeProject("default"),
};

test("each call takes as many round trips as docs/guides/servers.md says", async () => {
  await using server = await startServer();
  let requests = 0;
  const counting = ((request: Request, init?: RequestInit) => {
    requests++;
    return fetch(request, init);
  }) as typeof fetch;
  const count = async (work: () => Promise<unknown>) => {
    const before = requests;
    await work();
    return requests - before;
  };
  await using first = await openStorage(server.url);
  await first.memories.count();
  let opened!: Storage;
  const counted: Record<string, number> = {
    "openStorage, up to date": await count(async () => {
      opened = await openStorage({ url: server.url, fetch: counting });
    }),
  };
  await using storage = opened;
  for (const [call, run] of Object.entries(CALLS)) counted[call] = await count(() => run(storage));
  const text = readFileSync(new URL("../../../docs/guides/servers.md", import.meta.url), "utf8");
  const rows = [...text.matchAll(/^\| ([^|]+) \| (\d+) \|$/gm)].map(([, call, trips]) => [
    call!.replaceAll("`", ""),
    Number(trips),
  ]);
  expect(counted).toEqual(Object.fromEntries(rows));
});
