import type { Change } from "holdfast";
import { describe, expect, test } from "vitest";
import { rejection } from "../support/clients.js";
import { tempStorage } from "../support/storage.js";

const node = (id: string, more: object = {}) => ({ id, kind: "k", name: id, ...more });
const edge = (id: string, from: string, to: string, more: object = {}) => ({ id, from, to, type: "t", ...more });
const memory = (id: string, more: object = {}) => ({ id, content: id, ...more });
const say = (id: string, more: object = {}) => ({ id, role: "user" as const, content: id, ...more });

describe("an error about one record of a batch says which", () => {
  test("whether the check or the database has found it, and nothing is stored", async () => {
    await using temp = await tempStorage();
    const { memories, sessions, conversations, graph } = temp.storage;
    await memories.insert(memory("taken", { embedding: [1, 2], embeddingModel: "m" }));
    await sessions.start("taken");
    await conversations.insert({ id: "taken", messages: [say("said")] });
    await graph.addNodes([node("a"), node("b"), node("taken")]);
    await graph.addEdge(edge("taken", "a", "b"));
    const many = Array.from({ length: 1200 }, (_, i) => `x${i}`);
    const bad = { content: 5 as never };
    type Case = [() => Promise<unknown>, object, string];
    const cases: Record<string, Case> = {
      "a wrong memory": [
        () => memories.insertMany([memory("x"), memory("y", bad)]),
        { index: 1, id: "y" },
        "TypeError",
      ],
      "a memory without an id": [
        () => memories.insertMany([{ content: "x" }, { content: "" }]),
        { index: 1 },
        "RangeError",
      ],
      "a taken memory": [
        () => memories.insertMany([memory("x", { embedding: [1, 2], embeddingModel: "m" }), memory("taken")]),
        { index: 1, id: "taken", code: "CONFLICT" },
        "StorageError",
      ],
      "a repeated memory": [
        () => memories.insertMany([memory("x"), memory("y"), memory("x")]),
        { index: 2, id: "x", code: "CONFLICT" },
        "StorageError",
      ],
      "a vector of another length": [
        () => memories.insertMany([memory("x"), memory("y", { embedding: [1, 2, 3], embeddingModel: "m" })]),
        { index: 1, id: "y", code: "DIMENSION_MISMATCH" },
        "StorageError",
      ],
      "a taken session": [
        () => sessions.insertMany([{ id: "x" }, { id: "taken" }]),
        { index: 1, id: "taken", code: "CONFLICT" },
        "StorageError",
      ],
      "a wrong node": [
        () => graph.addNodes([node("x"), node("y", { kind: " " })]),
        { index: 1, id: "y" },
        "RangeError",
      ],
      "a taken node among many": [
        () => graph.addNodes([...many, "taken"].map((id) => node(id))),
        { index: 1200, id: "taken", code: "CONFLICT" },
        "StorageError",
      ],
      "a repeated node among many": [
        () => graph.addNodes([...many, "x3"].map((id) => node(id))),
        { index: 1200, id: "x3", code: "CONFLICT" },
        "StorageError",
      ],
      "a wrong edge": [
        () => graph.addEdges([edge("x", "a", "b"), edge("y", "a", "b", { weight: -1 })]),
        { index: 1, id: "y" },
        "RangeError",
      ],
      "a taken edge": [
        () => graph.addEdges([edge("x", "b", "a"), edge("taken", "b", "b")]),
        { index: 1, id: "taken", code: "CONFLICT" },
        "StorageError",
      ],
      "an edge between the same nodes": [
        () => graph.addEdges([edge("x", "b", "a"), edge("y", "a", "b")]),
        { index: 1, id: "y", code: "CONFLICT" },
        "StorageError",
      ],
      "an edge without a node": [
        () => graph.addEdges([edge("x", "b", "a"), edge("y", "a", "nowhere")]),
        { index: 1, id: "y", code: "FOREIGN_KEY" },
        "StorageError",
      ],
      "a wrong conversation": [
        () => conversations.insertMany([{ id: "x" }, { id: "y", title: 5 as never }]),
        { index: 1, id: "y" },
        "TypeError",
      ],
      "a wrong message of a conversation": [
        () => conversations.insertMany([{ id: "x" }, { id: "y", messages: [say("p"), say("q", bad)] }]),
        { index: 1, id: "y", messageIndex: 1 },
        "TypeError",
      ],
      "a taken conversation": [
        () => conversations.insertMany([{ id: "x" }, { id: "taken" }]),
        { index: 1, id: "taken", code: "CONFLICT" },
        "StorageError",
      ],
      "a taken message of a conversation": [
        () => conversations.insertMany([{ id: "x" }, { id: "y", messages: [say("p"), say("said")] }]),
        { index: 1, id: "y", messageIndex: 1, code: "CONFLICT" },
        "StorageError",
      ],
      "a wrong message": [
        () => conversations.append("taken", [say("p"), say("q", bad)]),
        { index: 1, id: "q" },
        "TypeError",
      ],
      "a taken message": [
        () => conversations.append("taken", [say("p"), say("said")]),
        { index: 1, id: "said", code: "CONFLICT" },
        "StorageError",
      ],
      "a repeated message": [
        () => conversations.append("taken", [say("p"), say("q"), say("p")]),
        { index: 2, id: "p", code: "CONFLICT" },
        "StorageError",
      ],
      "a wrong id to get": [() => memories.getMany(["x", ""]), { index: 1 }, "RangeError"],
      "a wrong id of a node": [() => graph.getNodes(["x", 5 as never]), { index: 1 }, "TypeError"],
      "a wrong id of a conversation": [() => conversations.getMany(["x", ""]), { index: 1 }, "RangeError"],
      "a wrong tag": [() => conversations.tag("taken", "x", ""), { index: 1 }, "RangeError"],
    };
    for (const [name, [call, place, kind]] of Object.entries(cases)) {
      const error = await rejection(call());
      expect({ name, kind: error.name }).toEqual({ name, kind });
      expect(error, name).toMatchObject(place);
      const { index, id, messageIndex } = place as { index: number; id?: string; messageIndex?: number };
      expect(error.message, name).toMatch(`at index ${index}`);
      if (id !== undefined) expect(error.message, name).toMatch(JSON.stringify(id));
      if (messageIndex !== undefined) expect(error.message, name).toMatch(`message at index ${messageIndex}`);
    }
    const inTransaction = await temp.storage.transaction(async (tx) => {
      const error = await rejection(tx.memories.insertMany([memory("x"), memory("taken")]));
      const other = await rejection(tx.graph.addNodes([node("x"), node("taken")]));
      return [error, other, await tx.memories.count()];
    });
    expect(inTransaction).toMatchObject([{ index: 1, id: "taken" }, { index: 1, id: "taken" }, 1]);
    expect(await memories.count()).toBe(1);
    expect((await graph.findNodes()).items).toHaveLength(3);
    expect((await graph.edges()).items).toHaveLength(1);
    expect((await conversations.list()).items).toHaveLength(1);
    expect((await conversations.require("taken")).messageCount).toBe(1);
  });

  test("a single record has no index", async () => {
    await using temp = await tempStorage();
    const { memories, graph } = temp.storage;
    await memories.insert(memory("taken"));
    expect(await rejection(memories.insert(memory("taken")))).toMatchObject({ code: "CONFLICT", index: undefined });
    expect(await rejection(memories.insert({ content: "" }))).not.toHaveProperty("index");
    expect(await rejection(graph.addEdge(edge("x", "a", "b")))).toMatchObject({
      code: "FOREIGN_KEY",
      index: undefined,
    });
  });
});

describe("onConflict", () => {
  /** What of changes the tests look at. */
  const watch = (storage: { on(event: "change", listener: (change: Change) => void): unknown }) => {
    const seen: [string, readonly string[]][] = [];
    storage.on("change", ({ action, ids }) => seen.push([action, ids]));
    return seen;
  };

  test("of memories: skip leaves what is there, deleted ones too; replace keeps createdAt and revives", async () => {
    await using temp = await tempStorage();
    const { memories } = temp.storage;
    const old = new Date("2020-01-01");
    await memories.insertMany([
      memory("live", { createdAt: old, embedding: [1, 2], embeddingModel: "m" }),
      memory("gone", { createdAt: old }),
    ]);
    await memories.delete("gone");
    const seen = watch(temp.storage);
    const batch = ["new", "live", "gone", "new"].map((id, i) => memory(id, { content: `walrus ${i}` }));
    const skipped = await memories.insertMany(batch, { onConflict: "skip" });
    expect(skipped.map(({ id, content }) => [id, content])).toEqual([
      ["new", "walrus 0"],
      ["live", "live"],
      ["gone", "gone"],
      ["new", "walrus 0"],
    ]);
    expect(skipped[2]!.deletedAt).toBeInstanceOf(Date);
    expect(await memories.get("gone")).toBeUndefined();
    expect(skipped[1]).toEqual(await memories.get("live"));
    expect(seen.splice(0)).toEqual([["insert", ["new"]]]);
    expect((await memories.search("walrus")).map(({ memory }) => memory.id)).toEqual(["new"]);

    const replaced = await memories.insertMany([...batch, memory("other")], { onConflict: "replace" });
    expect(replaced.map(({ id, content }) => [id, content])).toEqual([
      ["new", "walrus 3"],
      ["live", "walrus 1"],
      ["gone", "walrus 2"],
      ["new", "walrus 3"],
      ["other", "other"],
    ]);
    for (const one of replaced) expect(await memories.require(one.id)).toEqual(one);
    expect([replaced[1]!.createdAt, replaced[2]!.createdAt]).toEqual([old, old]);
    expect(replaced[0]!.createdAt).toEqual(skipped[0]!.createdAt);
    expect(replaced[1]!.embedding).toBeNull();
    expect(seen).toEqual([
      ["insert", ["other"]],
      ["update", ["new", "live", "gone"]],
    ]);
    expect((await memories.search("walrus")).map(({ memory }) => memory.id).sort()).toEqual(["gone", "live", "new"]);
    expect(await memories.search("gone")).toEqual([]);
    const { ok } = await temp.storage.check({ deep: true });
    expect(ok).toBe(true);
  });

  test("of nodes: replace keeps createdAt and edges, and takes the labels given", async () => {
    await using temp = await tempStorage();
    const { graph } = temp.storage;
    const old = new Date("2020-01-01");
    await graph.addNodes([node("a", { createdAt: old, labels: ["l"] }), node("b")]);
    await graph.addEdge(edge("e", "a", "b"));
    const seen = watch(temp.storage);
    const skipped = await graph.addNodes([node("c"), node("a", { name: "other" })], { onConflict: "skip" });
    expect(skipped).toEqual([await graph.requireNode("c"), await graph.requireNode("a")]);
    expect(skipped[1]).toMatchObject({ name: "a", labels: ["l"] });
    expect(seen.splice(0)).toEqual([["insert", ["c"]]]);
    const batch = [node("a", { name: "first" }), node("d"), node("a", { name: "second", labels: ["m"] })];
    const replaced = await graph.addNodes(batch, { onConflict: "replace" });
    expect(replaced).toEqual(await graph.getNodes(["a", "d", "a"]));
    expect(replaced[0]).toMatchObject({ name: "second", labels: ["m"], createdAt: old });
    expect(seen).toEqual([
      ["insert", ["d"]],
      ["update", ["a"]],
    ]);
    expect(await graph.neighbors("a")).toEqual(["b"]);
  });

  test("of edges: by id, and by ends and type", async () => {
    await using temp = await tempStorage();
    const { graph } = temp.storage;
    await graph.addNodes([node("a"), node("b"), node("c")]);
    await graph.addEdges([edge("ab", "a", "b"), edge("bc", "b", "c")]);
    const seen = watch(temp.storage);
    const batch = [
      { from: "a", to: "b", type: "t", weight: 2 },
      edge("bc", "c", "a", { weight: 3 }),
      edge("ca", "c", "b", { weight: 4 }),
      edge("twin", "a", "b", { parallel: true }),
    ];
    const skipped = await graph.addEdges(batch, { onConflict: "skip" });
    expect(skipped.map(({ id, weight }) => [id, weight])).toEqual([
      ["ab", 1],
      ["bc", 1],
      ["ca", 4],
      ["twin", 1],
    ]);
    expect(seen.splice(0)).toEqual([["insert", ["ca", "twin"]]]);
    const replaced = await graph.addEdges(batch.slice(0, 3), { onConflict: "replace" });
    for (const one of replaced) expect(await graph.getEdge(one.id)).toEqual(one);
    expect(replaced.map(({ id, from, to, weight }) => [id, from, to, weight])).toEqual([
      ["ab", "a", "b", 2],
      ["bc", "c", "a", 3],
      ["ca", "c", "b", 4],
    ]);
    expect(seen.splice(0).map(([action, ids]) => [action, [...ids].sort()])).toEqual([["update", ["ab", "bc", "ca"]]]);
    // Under an id of its own, it takes the place of the other.
    await graph.deleteEdge("twin");
    seen.length = 0;
    const renamed = await graph.addEdges([edge("new", "a", "b")], { onConflict: "replace" });
    expect(renamed.map(({ id }) => id)).toEqual(["new"]);
    expect(await graph.getEdge("ab")).toBeUndefined();
    expect(seen).toEqual([
      ["insert", ["new"]],
      ["delete", ["ab"]],
    ]);
    expect(await graph.neighbors("a")).toEqual(["b"]);
    const missing = await rejection(
      graph.addEdges([edge("ok", "b", "a"), edge("x", "a", "no")], { onConflict: "skip" }),
    );
    expect(missing).toMatchObject({ code: "FOREIGN_KEY", index: 1, id: "x" });
    expect(await graph.getEdge("ok")).toBeUndefined();
  });

  test("of conversations: replace puts the messages given in the place of the others, unless a fork shows them", async () => {
    await using temp = await tempStorage();
    const { conversations } = temp.storage;
    const createdAt = new Date("2020-01-01");
    await conversations.insertMany([
      { id: "a", title: "old", createdAt, messages: [say("a1", { content: "walrus" }), say("a2")] },
      { id: "gone", createdAt, messages: [say("g1")] },
    ]);
    await conversations.delete("gone");
    const seen = watch(temp.storage);
    const batch = [
      { id: "new", messages: [say("n1")] },
      { id: "a", title: "two", messages: [say("b1", { content: "heron" })] },
      { id: "gone", title: "back" },
    ];
    const skipped = await conversations.insertMany(batch, { onConflict: "skip" });
    expect(skipped.map(({ id, title, messageCount }) => [id, title, messageCount])).toEqual([
      ["new", null, 1],
      ["a", "old", 2],
      ["gone", null, 1],
    ]);
    expect(skipped[2]!.deletedAt).toBeInstanceOf(Date);
    expect(seen.splice(0)).toEqual([["insert", ["new", "n1"]]]);
    const replaced = await conversations.insertMany(batch.slice(1), { onConflict: "replace" });
    expect(replaced).toEqual(await conversations.getMany(["a", "gone"]));
    expect(replaced.map((one) => [one.title, one.messageCount, one.createdAt])).toEqual([
      ["two", 1, createdAt],
      ["back", 0, createdAt],
    ]);
    expect(await conversations.message("a1")).toBeUndefined();
    expect(await conversations.search("walrus")).toEqual([]);
    expect((await conversations.search("heron")).map(({ message }) => message.id)).toEqual(["b1"]);
    expect(seen.splice(0)).toEqual([
      ["insert", ["b1"]],
      ["update", ["a", "gone"]],
    ]);
    await conversations.fork("a", { id: "f" });
    const refused = await rejection(conversations.insertMany([{ id: "x" }, { id: "a" }], { onConflict: "replace" }));
    expect(refused).toMatchObject({ code: "CONFLICT", index: 1, id: "a" });
    expect(await conversations.get("x")).toBeUndefined();
    expect((await conversations.require("a")).title).toBe("two");
    const taken = [{ id: "y", messages: [say("b1")] }];
    expect(await rejection(conversations.insertMany(taken, { onConflict: "skip" }))).toMatchObject({
      code: "CONFLICT",
      index: 0,
      id: "y",
      messageIndex: 0,
    });
    expect((await temp.storage.check({ deep: true })).ok).toBe(true);
  });

  test("works inside a transaction, and anything else is a TypeError", async () => {
    await using temp = await tempStorage();
    const { memories, graph } = temp.storage;
    await memories.insert(memory("a"));
    const answer = await temp.storage.transaction(async (tx) => {
      await tx.graph.addNodes([node("n"), node("n")], { onConflict: "skip" });
      return tx.memories.insertMany([memory("a"), memory("b")], { onConflict: "skip" });
    });
    expect(answer.map(({ id }) => id)).toEqual(["a", "b"]);
    expect(await graph.getNode("n")).toBeDefined();
    for (const onConflict of ["ignore", null, 1, true]) {
      const error = await rejection(memories.insertMany([], { onConflict: onConflict as never }));
      expect(error).toBeInstanceOf(TypeError);
    }
  });
});
