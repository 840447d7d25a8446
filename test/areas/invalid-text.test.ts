import { openStorage } from "holdfast";
import { openStories } from "holdfast/stories";
import { expect, test } from "vitest";
import { rejection } from "../support/clients.js";
import { tempStorage } from "../support/storage.js";
import { tempDatabase } from "../support/temp.js";

const BAD = "a\0b\ud83d";
const GOOD = "a\uFFFDb\uFFFD";
const JSON_BAD = { [`k${BAD}`]: [BAD, { deep: BAD }], plain: 1 };
const JSON_GOOD = { [`k${GOOD}`]: [GOOD, { deep: GOOD }], plain: 1 };

test("is replaced in contents, titles, names, tags and JSON of every area, and comes back so", async () => {
  await using temp = await tempStorage({ invalidText: "replace" });
  const { memories, sessions, conversations, graph, stories } = temp.storage;
  const input = { content: BAD, source: BAD, metadata: JSON_BAD };
  const output = { content: GOOD, source: GOOD, metadata: JSON_GOOD };
  expect(await memories.insert({ id: "m", ...input })).toMatchObject(output);
  await memories.insertMany([{ id: "n", content: "x" }]);
  expect(await memories.put("p", input)).toMatchObject(output);
  expect(await memories.update("n", input)).toMatchObject(output);
  for (const id of ["m", "n", "p"]) expect(await memories.require(id)).toMatchObject(output);

  await sessions.start("s", { metadata: JSON_BAD });
  await sessions.end("s", BAD);
  expect(await sessions.require("s")).toMatchObject({ metadata: JSON_GOOD, summary: GOOD });

  const message = { role: "user" as const, content: BAD, metadata: JSON_BAD, tags: [BAD] };
  await conversations.insert({
    id: "c",
    title: BAD,
    tags: [BAD],
    metadata: JSON_BAD,
    messages: [{ id: "m1", ...message }],
  });
  await conversations.append("c", [{ id: "m2", ...message }]);
  const stored = { content: GOOD, metadata: JSON_GOOD, tags: [GOOD] };
  expect(await conversations.message("m1")).toMatchObject(stored);
  expect(await conversations.message("m2")).toMatchObject(stored);
  expect(await conversations.updateMessage("m2", { content: `${BAD}!` })).toMatchObject({ content: `${GOOD}!` });
  expect(await conversations.require("c")).toMatchObject({ title: GOOD, tags: [GOOD], metadata: JSON_GOOD });
  expect(await conversations.update("c", { title: `${BAD}?` })).toMatchObject({ title: `${GOOD}?` });
  expect(await conversations.fork("c", { title: BAD })).toMatchObject({ title: GOOD });
  expect(await conversations.tag("c", `t${BAD}`)).toContain(`t${GOOD}`);
  expect(await conversations.untag("c", `t${BAD}`)).toBe(true);
  expect(await conversations.linkRef("m1", { kind: BAD, target: BAD })).toMatchObject({ kind: GOOD, target: GOOD });
  expect((await conversations.byRef(BAD, BAD)).map(({ id }) => id)).toEqual(["m1"]);
  expect(await conversations.unlinkRef("m1", { kind: BAD, target: BAD })).toBe(true);
  await conversations.addSummary("c", { date: "2026-01-31", title: BAD, text: BAD });
  expect(await conversations.summaries()).toMatchObject([{ title: GOOD, text: GOOD }]);

  const node = { kind: BAD, name: BAD, data: JSON_BAD, labels: [BAD] };
  const nodeOut = { kind: GOOD, name: GOOD, data: JSON_GOOD, labels: [GOOD] };
  expect(await graph.addNode({ id: "a", ...node })).toMatchObject(nodeOut);
  await graph.putNode({ id: "b", ...node });
  expect(await graph.updateNode("b", { name: `${BAD}.` })).toMatchObject({ ...nodeOut, name: `${GOOD}.` });
  expect(await graph.addLabel("a", `l${BAD}`)).toBe(true);
  expect(await graph.removeLabel("a", `l${BAD}`)).toBe(true);
  await graph.addEdges([{ id: "e", from: "a", to: "b", type: BAD, data: JSON_BAD }]);
  expect(await graph.getEdge("e")).toMatchObject({ type: GOOD, data: JSON_GOOD });
  expect(await graph.updateEdge("e", { type: `${BAD}x` })).toMatchObject({ type: `${GOOD}x` });

  await stories.saveStory("s", { title: BAD, text: BAD, [`k${BAD}`]: 1 }, { metadata: { tags: [BAD] } });
  expect(await stories.loadStory("s")).toEqual({ title: GOOD, text: GOOD, [`k${GOOD}`]: 1 });
  expect(await stories.updateMetadata("s", { title: BAD })).toMatchObject({ title: GOOD, tags: [GOOD] });
  await stories.batchSave({ t: { title: BAD } });
  expect(await stories.loadStory("t")).toEqual({ title: GOOD });

  await temp.storage.transaction((tx) => tx.memories.insert({ id: "tx", ...input }));
  expect(await memories.require("tx")).toMatchObject(output);
  expect((await temp.storage.check({ deep: true })).ok).toBe(true);
});

test("two keys that become one both keep their values", async () => {
  await using temp = await tempStorage({ invalidText: "replace" });
  const { metadata } = await temp.storage.memories.insert({
    content: "x",
    metadata: { "a\0": 1, "a\ud800": 2, "a\uFFFD": 3, ok: { __proto__: null, "b\0": "\0" } },
  });
  expect(metadata).toEqual({ "a\uFFFD\uFFFD": 1, "a\uFFFD\uFFFD\uFFFD": 2, "a\uFFFD": 3, ok: { "b\uFFFD": "\uFFFD" } });
});

test("is refused by default, with the place in the text; in ids always", async () => {
  await using temp = await tempStorage();
  const { memories, sessions, conversations, graph } = temp.storage;
  const place = async (call: Promise<unknown>) => {
    const error = await rejection(call);
    expect(error).toBeInstanceOf(RangeError);
    return error.message;
  };
  expect(await place(memories.insert({ content: "tests pass\0" }))).toMatch(/`content`.*NUL at position 10$/);
  expect(await place(memories.insert({ content: `🚀a\ud83d\0` }))).toMatch(/surrogate at position 3$/);
  expect(await place(conversations.insert({ title: `${"x".repeat(7)}\udc00` }))).toMatch(
    /`title`.*surrogate at position 7$/,
  );
  const batch = graph.addNodes([
    { id: "a", kind: "k", name: "n" },
    { id: "b", kind: "k", name: "n\0" },
  ]);
  expect(await place(batch)).toMatch(/`name`.*NUL at position 1 \(at index 1, id "b"\)$/);
  // In JSON too, with the path.
  const inJson = memories.insert({ content: "x", metadata: { a: [1, { b: "x\0" }] } });
  expect(await place(inJson)).toMatch(/`metadata\.a\[1\]\.b`.*NUL at position 1$/);
  expect(await place(graph.addNode({ kind: "k", name: "n", data: { "\ud800": 1 } }))).toMatch(
    /`a key of data`.*surrogate at position 0$/,
  );
  expect(await place(sessions.start("s", { metadata: { a: "\0" } }))).toMatch(/`metadata\.a`/);
  const { metadata } = await memories.insert({ content: "x", metadata: { a: "\\u0000 \\ud800" } });
  expect(metadata).toEqual({ a: "\\u0000 \\ud800" });
  await using replacing = await tempStorage({ invalidText: "replace" });
  expect(await place(replacing.storage.memories.insert({ id: "a\0", content: "x" }))).toMatch(/`id`.*NUL/);
  expect(await place(replacing.storage.graph.addNode({ id: "\ud800", kind: "k", name: "n" }))).toMatch(
    /`id`.*surrogate/,
  );
  expect(await rejection(openStorage({ url: ":memory:", invalidText: "keep" as never }))).toBeInstanceOf(TypeError);
});

test("in JSON that was stored once, it hinders no other change, no import and no import of a conversation", async () => {
  await using temp = await tempStorage();
  await using other = await tempStorage();
  const { memories, conversations, graph } = temp.storage;
  await memories.insert({ id: "m", content: "x" });
  await conversations.insert({ id: "c", messages: [{ id: "m1", role: "user", content: "x" }] });
  await graph.addNode({ id: "a", kind: "k", name: "n" });
  const bad = JSON.stringify(JSON_BAD);
  for (const [table, column] of [
    ["memories", "metadata"],
    ["conversations", "metadata"],
    ["graph_nodes", "data"],
  ]) {
    await temp.storage.client.execute({ sql: `update ${table} set ${column} = ?`, args: [bad] });
  }
  expect(await memories.update("m", { content: "y" })).toMatchObject({ content: "y", metadata: JSON_BAD });
  expect(await conversations.update("c", { title: "t" })).toMatchObject({ title: "t", metadata: JSON_BAD });
  expect(await graph.updateNode("a", { name: "o" })).toMatchObject({ name: "o", data: JSON_BAD });
  let lines = "";
  for await (const line of temp.storage.export()) lines += line;
  await other.storage.import(lines);
  expect((await other.storage.memories.require("m")).metadata).toEqual(JSON_BAD);
  const elsewhere = other.storage.project("elsewhere");
  await elsewhere.conversations.import(await conversations.export("c"));
  await elsewhere.graph.import(graph.export());
  expect((await elsewhere.conversations.require("c")).metadata).toEqual(JSON_BAD);
  expect((await elsewhere.graph.requireNode("a")).data).toEqual(JSON_BAD);
});

test.each(["libsql", "filesystem"] as const)(
  "is replaced in stories, also by the backend itself (%s)",
  async (backend) => {
    await using db = await tempDatabase();
    const service = await openStories({ backend, path: `${db.dir}/stories`, invalidText: "replace" });
    const bad = { title: BAD, text: BAD };
    await service.saveStory("a", bad);
    expect(await service.backend.save("b", bad, { title: BAD, tags: [BAD] })).toMatchObject({
      title: GOOD,
      tags: [GOOD],
    });
    await service.backend.importData({ id: "c", ...bad });
    for (const id of ["a", "b"]) expect(await service.loadStory(id)).toEqual({ title: GOOD, text: GOOD });
    expect(await service.loadStory("c")).toEqual({ id: "c", title: GOOD, text: GOOD });
    expect(await service.backend.updateMetadata("a", { title: BAD })).toMatchObject({ title: GOOD });
    await service.close();
  },
);

test("is replaced by an import", async () => {
  await using from = await tempStorage();
  await using to = await tempStorage({ invalidText: "replace" });
  await from.storage.memories.insert({ id: "m", content: "x" });
  await from.storage.sessions.start("s");
  await from.storage.conversations.insert({ id: "c" });
  await from.storage.graph.addNode({ id: "a", kind: "k", name: "n" });
  for (const table of ["memories", "sessions", "conversations", "graph_nodes"]) {
    const column = table === "graph_nodes" ? "data" : "metadata";
    const args = [JSON.stringify(JSON_BAD)];
    await from.storage.client.execute({ sql: `update ${table} set ${column} = ?`, args });
  }
  let lines = "";
  for await (const line of from.storage.export()) lines += line;
  await to.storage.import(lines);
  expect((await to.storage.memories.require("m")).metadata).toEqual(JSON_GOOD);
  expect((await to.storage.sessions.require("s")).metadata).toEqual(JSON_GOOD);
  expect((await to.storage.conversations.require("c")).metadata).toEqual(JSON_GOOD);
  expect((await to.storage.graph.requireNode("a")).data).toEqual(JSON_GOOD);
});
