import { LibsqlError } from "@libsql/client";
import { openStorage, StorageError } from "holdfast";
import { createClient } from "holdfast/client";
import * as functions from "holdfast/conversations";
import { acquireLock, FileLock, MemvidError, releaseLock, use } from "holdfast/memvid";
import { describe, expect, test } from "vitest";
import { rejection } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

/** Whose every field, read or listed, throws an error of the caller's own. */
const CALLERS_OWN = new Error("the caller's own");
const fails = () => {
  throw CALLERS_OWN;
};
const throwing = Object.defineProperties({}, { dryRun: { enumerable: true, get: fails }, signal: { get: fails } });

/** What people pass by mistake, alone and behind an id. */
const ODD: readonly unknown[] = [
  undefined,
  null,
  0,
  1.5,
  "",
  "x",
  true,
  Symbol("s"),
  10n,
  () => 1,
  {},
  new Map(),
  [],
  [undefined],
  [null],
  new Array(3),
  Object.create(null),
  [Object.create(null)],
  throwing,
];
const CALLS: readonly (readonly unknown[])[] = [
  [],
  ...ODD.map((value) => [value]),
  ...ODD.map((value) => ["x", value]),
  ...ODD.map((value) => ["x", "y", value]),
];

/** Errors of this library's own making: a wrong argument is named, whatever else goes wrong has a code. */
function isOwn(error: unknown): boolean {
  if (error === CALLERS_OWN || error instanceof StorageError || error instanceof LibsqlError) return true;
  if (error instanceof MemvidError) return error.cause === undefined || isOwn(error.cause);
  const isMisuse = error instanceof TypeError || error instanceof RangeError;
  return isMisuse && /^(Expected|Unknown|Nothing was imported)/.test(error.message);
}

/** Those of the class itself, what is internal by its doc comment aside. */
function methodsOf(target: object, without: readonly string[]): string[] {
  const names = new Set<string>();
  for (let at = target; at !== Object.prototype; at = Object.getPrototypeOf(at) as object) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof value === "function" && name !== "constructor" && !without.includes(name)) names.add(name);
    }
  }
  return [...names];
}

async function foreignErrors(target: object, without: readonly string[] = []): Promise<string[]> {
  const found: string[] = [];
  for (const name of methodsOf(target, without)) {
    let isAsync = false;
    let hasThrown = false;
    for (const args of CALLS) {
      let isCalled = false;
      try {
        const answer: unknown = (target as Record<string, (...args: readonly unknown[]) => unknown>)[name]!(...args);
        isCalled = true;
        isAsync ||= answer instanceof Promise;
        if (typeof (answer as AsyncIterable<unknown>)?.[Symbol.asyncIterator] === "function") {
          for await (const _ of answer as AsyncIterable<unknown>) break;
        } else await answer;
      } catch (error) {
        hasThrown ||= !isCalled;
        if (!isOwn(error)) found.push(`${name}(${args.map((value) => typeof value).join(", ")}): ${String(error)}`);
      }
    }
    if (isAsync && hasThrown) found.push(`${name} throws where it is to reject`);
  }
  return found;
}

// Errors of the engine ("Cannot read properties of undefined") told nobody which argument was wrong.
describe("wrong arguments of every kind are told in words of our own", () => {
  test("by the repositories", async () => {
    await using storage = await openStorage(":memory:");
    const { memories, sessions, conversations, graph, stories } = storage.project("p");
    expect(await foreignErrors(memories, ["rank", "read"])).toEqual([]);
    expect(await foreignErrors(sessions)).toEqual([]);
    expect(await foreignErrors(conversations)).toEqual([]);
    expect(await foreignErrors(graph)).toEqual([]);
    expect(await foreignErrors(stories, ["close", "onClose", "shownRevision"])).toEqual([]);
  });

  test("by the storage, its projects and the functions around them", async () => {
    await using storage = await openStorage(":memory:");
    expect(await foreignErrors(storage, ["close", "on", "import", "check", "restore", "backup", "backups"])).toEqual(
      [],
    );
    expect(await foreignErrors(storage.project("p"))).toEqual([]);
    const { insertConversation, insertMessage, linkMessageRef, tagMessage } = functions;
    expect(await foreignErrors({ insertConversation, insertMessage, linkMessageRef, tagMessage, releaseLock })).toEqual(
      [],
    );
  });

  test("by the calls of memvid and the file lock", async () => {
    await using db = await tempDatabase();
    const memvid = await use("basic", db.path, { mode: "auto" });
    expect(await foreignErrors(memvid, ["close", "seal", "opened", "doctor", "verify", "stats"])).toEqual([]);
    await expect(memvid.doctor(null as never)).rejects.toBeInstanceOf(MemvidError);
    await expect(memvid.doctor(throwing)).rejects.toBeInstanceOf(MemvidError);
    await memvid.close();
    await expect(use("basic", db.path, throwing)).rejects.toBeInstanceOf(MemvidError);
    const lock = new FileLock(db.path);
    for (const odd of [null, "x", {}, -1, Number.NaN]) {
      await expect(lock.acquire(odd as never)).rejects.toThrow(/^Expected `timeoutMs`/);
      await expect(acquireLock(db.path, odd as never)).rejects.toThrow(/^Expected `timeoutMs`/);
    }
  });

  test("by the client and its transactions", async () => {
    const client = createClient({ url: ":memory:" });
    expect(await foreignErrors(client, ["close", "transaction", "reconnect"])).toEqual([]);
    const transaction = await client.transaction("write");
    expect(await foreignErrors(transaction, ["close", "commit", "rollback"])).toEqual([]);
    transaction.close();
    client.close();
  });
});

test("a hole in an array is refused by its place, however long the array", async () => {
  await using storage = await openStorage(":memory:");
  const { memories, sessions, conversations, graph, stories } = storage.project("p");
  const { id } = await conversations.insert({});
  const holed = <T>(first: T) => {
    const array: T[] = [first];
    array[2] = first;
    return array;
  };
  const message = { role: "user" as const, content: "x" };
  const calls: [string, (array: never) => Promise<unknown>, unknown][] = [
    ["memories.insertMany", (array) => memories.insertMany(array), { content: "x" }],
    ["memories.getMany", (array) => memories.getMany(array), "x"],
    ["sessions.insertMany", (array) => sessions.insertMany(array), { id: undefined }],
    ["sessions.getMany", (array) => sessions.getMany(array), "x"],
    ["conversations.insertMany", (array) => conversations.insertMany(array), {}],
    ["conversations.insert", (messages) => conversations.insert({ messages }), message],
    ["conversations.append", (array) => conversations.append(id, array), message],
    ["conversations.getMany", (array) => conversations.getMany(array), "x"],
    ["conversations.list", (ids) => conversations.list({ ids }), "x"],
    ["tags", (tags) => conversations.insert({ tags }), "x"],
    ["graph.addNodes", (array) => graph.addNodes(array), { kind: "k", name: "n" }],
    ["graph.addEdges", (array) => graph.addEdges(array), { type: "t", from: "a", to: "b" }],
    ["graph.getNodes", (array) => graph.getNodes(array), "x"],
    ["graph.subgraph", (array) => graph.subgraph(array), "x"],
    ["stories.batchLoad", (array) => stories.batchLoad(array), "x"],
    ["client.batch", (array) => storage.client.batch(array), "select 1"],
  ];
  for (const [name, call, first] of calls) {
    const error = await rejection(call(holed(first) as never));
    expect(error, name).toBeInstanceOf(TypeError);
    expect(error.message, name).toMatch(/index 1/);
    expect((await rejection(call(new Array(1e9) as never))).message, name).toMatch(/index 0/);
  }
  expect(await memories.count()).toBe(0);
});

describe("very large values", () => {
  const nested = (depth: number) => {
    let value: Record<string, unknown> = {};
    for (let i = 0; i < depth; i++) value = { a: value };
    return value;
  };

  test("metadata and data with a text of 10 MB are stored and come back", async () => {
    await using storage = await openStorage(":memory:");
    const text = `${'é\\"{['.repeat(10)}${"x".repeat(10_000_000)}`;
    const memory = await storage.memories.insert({ content: "x", metadata: { text } });
    expect((await storage.memories.require(memory.id)).metadata).toEqual({ text });
    const node = await storage.graph.addNode({ kind: "k", name: "n", data: { text } });
    expect((await storage.graph.getNode(node.id))?.data).toEqual({ text });
  });

  test("100 MB of metadata, one text or many values, name the limit", async () => {
    await using storage = await openStorage(":memory:");
    const values = [
      { text: "x".repeat(100_000_000) },
      Object.fromEntries(Array.from({ length: 250_000 }, (_, i) => [`key number ${i}`, "value ".repeat(15)])),
    ];
    for (const metadata of values) {
      const calls = [
        () => storage.memories.insert({ content: "x", metadata }),
        () => storage.graph.addNode({ kind: "k", name: "n", data: metadata }),
        () => storage.memories.list({ metadata: { a: metadata } }),
      ];
      for (const call of calls) {
        const error = await rejection(call());
        expect(error).toBeInstanceOf(RangeError);
        expect(error.message).toMatch(/16000000 characters of JSON/);
      }
    }
  });

  test.each([1_000, 5_000, 100_000])("a value nested %i deep is a RangeError, also in a filter", async (depth) => {
    await using storage = await openStorage(":memory:");
    const calls = [
      () => storage.memories.insert({ content: "x", metadata: nested(depth) }),
      () => storage.memories.list({ metadata: { a: nested(depth) } }),
      () => storage.conversations.list({ metadata: { a: nested(depth) } }),
      () => storage.graph.findNodes({ where: { a: nested(depth) } }),
    ];
    for (const call of calls) {
      const error = await rejection(call());
      expect(error).toBeInstanceOf(RangeError);
      expect(error.message).toMatch(/nested no deeper than 900/);
    }
  });
});
