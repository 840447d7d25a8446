import { StoryMigrations } from "holdfast/stories";
import { expect, test } from "vitest";
import { rejection } from "../support/clients.js";
import { tempStorage } from "../support/storage.js";

/** What a caller means who gives seconds. */
const SECONDS = 1_760_000_000;

test("times in seconds are refused, and say that milliseconds are expected; a Date passes", async () => {
  await using temp = await tempStorage();
  const { memories, sessions, conversations, graph, stories } = temp.storage;
  await conversations.insert({ id: "c" });
  const message = { role: "user" as const, content: "x" };
  const calls: Record<string, (time: number | Date) => Promise<unknown>> = {
    "memories.insert": (createdAt) => memories.insert({ content: "x", createdAt }),
    "memories.put": (createdAt) => memories.put("p", { content: "x", createdAt }),
    "memories.update": (createdAt) => memories.update("p", { createdAt }),
    "memories.list": (since) => memories.list({ since }),
    "memories.count": (until) => memories.count({ until }),
    "memories.search": (since) => memories.search("x", { since }),
    "memories.timeline": (around) => memories.timeline({ around }),
    "sessions.start": (startedAt) => sessions.start(undefined, { startedAt }),
    "sessions.list": (since) => sessions.list({ since }),
    "conversations.insert": (createdAt) => conversations.insert({ createdAt }),
    "conversations.append": (createdAt) => conversations.append("c", { ...message, createdAt }),
    "conversations.list": (createdFrom) => conversations.list({ createdFrom }),
    "conversations.search": (until) => conversations.search("x", { until }),
    "graph.addNode": (createdAt) => graph.addNode({ kind: "k", name: "n", createdAt }),
    "storage.prune": (olderThan) => temp.storage.prune({ olderThan, dryRun: true }),
    "stories.addToSyncQueue": (timestamp) =>
      stories.backend.addToSyncQueue({ storyId: "s", action: "a", timestamp: timestamp as Date }),
  };
  for (const [name, call] of Object.entries(calls)) {
    for (const wrong of [SECONDS, 0, -1, 1e11 - 1]) {
      const error = await rejection(call(wrong));
      expect(error, name).toBeInstanceOf(RangeError);
      expect(error.message, name).toMatch(/^Expected `\w+` to be a time in milliseconds, got .*multiply by 1000/);
    }
    await call(1e11);
    await call(new Date(0));
    await call(new Date(SECONDS));
  }
});

test("what is not true or false is refused where an option is a boolean", async () => {
  // "false" from a command line or a query string was taken as true by some calls, and as false by others.
  await using temp = await tempStorage();
  const { memories, conversations, stories } = temp.storage;
  const migrations = new StoryMigrations({ service: stories, backupDir: "unused" });
  const calls: Record<string, (value: never) => Promise<unknown>> = {
    includeDeleted: (includeDeleted) => memories.get("m", { includeDeleted }),
    "includeDeleted of conversations": (includeDeleted) => conversations.get("c", { includeDeleted }),
    skipCache: (skipCache) => stories.loadStory("s", { skipCache }),
    "skipCache of saveStory": (skipCache) => stories.saveStory("s", {}, { skipCache }),
    atomic: (atomic) => stories.batchSave({}, { atomic }),
    dryRun: (dryRun) => migrations.migrate("s", { dryRun }),
    "dryRun of migrateAll": (dryRun) => migrations.migrateAll({ dryRun }),
    backup: (backup) => migrations.migrate("s", { backup }),
    validate: (validate) => migrations.migrate("s", { validate }),
  };
  for (const [name, call] of Object.entries(calls)) {
    for (const value of ["false", 0, 1, null]) {
      const error = await rejection(call(value as never));
      expect(error, name).toBeInstanceOf(TypeError);
      expect(error.message).toBe(
        `Expected \`${name.split(" ")[0]}\` to be true or false, got ${JSON.stringify(value)}`,
      );
    }
  }
  expect(await stories.hasStory("s")).toBe(false);
  const signal = {} as AbortSignal;
  const error = await rejection(memories.reembed(async () => [], { model: "m", signal }));
  expect(error.message).toBe("Expected `signal` to be an AbortSignal, got Object");
});

test("an invalid Date is called one", async () => {
  await using temp = await tempStorage();
  const error = await rejection(temp.storage.memories.list({ since: new Date("nonsense") }));
  expect(error.message).toBe("Expected `since` to be a valid Date or integer milliseconds, got an invalid Date");
});

test("operators in a metadata filter are refused, and objects are equal to objects", async () => {
  await using temp = await tempStorage();
  const { memories, conversations } = temp.storage;
  const metadata = { importance: 7, range: { gte: 5, unit: "kg" }, gate: { in: 3 } };
  await memories.insert({ id: "m", content: "x", metadata });
  await conversations.insert({ id: "c", metadata });
  for (const value of [{ gte: 5 }, { gt: 1, lte: 9 }, { $gte: 5 }, { ne: 1 }, { in: [7] }]) {
    const calls = [
      memories.list({ metadata: { importance: value } }),
      memories.count({ metadata: { importance: value } }),
      memories.search("x", { metadata: { importance: value } }),
      memories.nearest([1], { model: "m", metadata: { importance: value } }),
      conversations.list({ metadata: { importance: value } }),
    ];
    for (const call of calls) {
      const error = await rejection(call);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(/`metadata\.importance`.*operators.*equality only.*`where`/);
    }
  }
  for (const filter of [{ range: { gte: 5, unit: "kg" } }, { gate: { in: 3 } }, { importance: 7 }]) {
    expect(await memories.count({ metadata: filter })).toBe(1);
    expect((await conversations.list({ metadata: filter })).items).toHaveLength(1);
  }
});

test("the advice of a CONFLICT fits the area", async () => {
  await using temp = await tempStorage();
  const { memories, sessions, graph } = temp.storage;
  const advice = async (insert: () => Promise<unknown>) => {
    await insert();
    const error = await rejection(insert());
    expect(error).toMatchObject({ code: "CONFLICT" });
    return error.message;
  };
  expect(await advice(() => memories.insert({ id: "a", content: "x" }))).toMatch(/replace it with put$/);
  const node = await advice(() => graph.addNode({ id: "a", kind: "k", name: "n" }));
  expect(node).toMatch(/replace the node with putNode/);
  expect(node).not.toMatch(/deleted/);
  const edge = await advice(() => graph.addEdge({ id: "e", from: "a", to: "a", type: "t", parallel: true }));
  expect(edge).toMatch(/updateEdge/);
  expect(await advice(() => sessions.start("s"))).toMatch(/session of this id/);
});

test("a value that JSON cannot hold is named by its whole path", async () => {
  await using temp = await tempStorage();
  const { memories, stories } = temp.storage;
  const circular: Record<string, unknown> = { list: [1] };
  circular.list = [1, { back: circular }];
  const cases: [unknown, string][] = [
    [{ a: { b: 1n } }, "Expected `$.a.b` to be a JSON value, got 1n"],
    [{ a: [1, Number.NaN] }, "Expected `$.a.1` to be a finite number, got NaN"],
    [{ a: [{ m: new Map() }] }, "Expected `$.a.0.m` to be a plain object, got Map"],
    [{ a: circular }, "Expected `$.a.list.1.back` to be a JSON value, got `$.a`, which contains it"],
  ];
  for (const [value, message] of cases) {
    const metadata = value as Record<string, unknown>;
    expect((await rejection(memories.insert({ content: "x", metadata }))).message).toBe(
      message.replaceAll("$", "metadata"),
    );
    expect((await rejection(stories.saveStory("s", metadata))).message).toBe(message.replaceAll("$", "data"));
  }
  // As in JSON.stringify, and as the doc comment of Metadata says.
  const left = await memories.insert({ content: "x", metadata: { f: () => 1, s: Symbol("s"), u: undefined, a: 1 } });
  expect(left.metadata).toEqual({ a: 1 });
});

test("messages name options by their call, and what is not an option by its name", async () => {
  await using temp = await tempStorage();
  const { memories } = temp.storage;
  const calls: [() => Promise<unknown>, string][] = [
    [() => memories.search("a", 5 as never), "Expected the options of `search` to be an object, got 5"],
    [() => memories.insert("a" as never), 'Expected the memory to be an object, got "a"'],
    [() => memories.update("a", [1, 2] as never), "Expected the patch to be an object, got an array of length 2"],
    [() => memories.insert({ content: "x", type: "A b" }), 'with a letter first, got "A b"'],
    [() => memories.list({ metadata: 5 as never }), "Expected `metadata` to be an object, got 5"],
  ];
  for (const [call, message] of calls) expect((await rejection(call())).message).toContain(message);
});

test("a record that was read can be passed back, and not as a deleted one", async () => {
  await using temp = await tempStorage();
  const { memories } = temp.storage;
  const memory = await memories.insert({ id: "m", content: "one" });
  expect(await memories.update("m", { ...memory, content: "two" })).toMatchObject({ content: "two" });
  for (const call of [
    () => memories.insert({ content: "x", deletedAt: new Date() } as never),
    () => memories.update("m", { deletedAt: new Date() } as never),
  ]) {
    expect((await rejection(call())).message).toMatch(/^Expected `deletedAt` to be null, got .*call delete\(id\)$/);
  }
  expect(await memories.count()).toBe(1);
});

test("NOT_FOUND says what to check", async () => {
  await using temp = await tempStorage();
  const { conversations, stories } = temp.storage;
  expect(await rejection(conversations.require("nope"))).toMatchObject({
    code: "NOT_FOUND",
    message: 'There is no conversation "nope" in project "default", or it is deleted. Check the id and the project',
  });
  await stories.saveStory("q", { title: "x" });
  expect((await rejection(stories.revert("q", 99))).message).toBe('Story "q" has no revision 99. See revisions("q")');
});
