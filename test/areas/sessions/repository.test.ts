import { type Change, openStorage, type Session, type Storage } from "holdfast";
import { describe, expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { tempStorage } from "../../support/storage.js";

const HOUR_MS = 3_600_000;
const START = 1_800_000_000_000;

const idsOf = (sessions: readonly Session[]) => sessions.map(({ id }) => id);

/** A storage whose clock moves on by a second with each look. */
async function tempSessions() {
  let time = START;
  const temp = await tempStorage({
    now: () => {
      time += 1000;
      return time;
    },
  });
  return {
    storage: temp.storage,
    sessions: temp.storage.sessions,
    url: temp.db.url,
    setBack: (ms: number) => {
      time -= ms;
    },
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}

describe("start", () => {
  test("returns the stored session, with an id that sorts by time, the current time and no metadata", async () => {
    await using t = await tempSessions();
    const first = await t.sessions.start();
    expect(first).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
      project: "default",
      startedAt: new Date(START + 1000),
      endedAt: null,
      summary: null,
      metadata: {},
    });
    expect(await t.sessions.get(first.id)).toEqual(first);
    expect((await t.sessions.start()).id > first.id).toBe(true);
  });

  test("takes an id, metadata and a time as a Date or in milliseconds, which read back after reopening", async () => {
    await using t = await tempSessions();
    const metadata = { branch: "main", nested: { list: [1, "two", null, true] } };
    const dated = await t.sessions.start("dated", { metadata, startedAt: new Date(START - HOUR_MS) });
    const counted = await t.sessions.start("counted", { startedAt: START - HOUR_MS });
    expect(dated).toMatchObject({ id: "dated", metadata, startedAt: new Date(START - HOUR_MS) });
    expect(counted.startedAt).toEqual(dated.startedAt);
    await t.storage.close();
    await using again = await openStorage(t.url);
    expect(await again.sessions.getMany(["dated", "counted"])).toEqual([dated, counted]);
  });

  test("of an id that exists, ended or not, is CONFLICT and leaves the first session as it is", async () => {
    await using t = await tempSessions();
    const first = await t.sessions.start("named", { metadata: { a: 1 } });
    const conflict = { code: "CONFLICT", table: "sessions", columns: ["project", "id"] };
    expect(await rejection(t.sessions.start("named"))).toMatchObject(conflict);
    expect(await t.sessions.get("named")).toEqual(first);
    const ended = await t.sessions.end("named");
    expect(await rejection(t.sessions.start("named"))).toMatchObject(conflict);
    expect(await t.sessions.get("named")).toEqual(ended);
  });
});

describe("insertMany", () => {
  test("starts all sessions, in the order given", async () => {
    await using t = await tempSessions();
    const stored = await t.sessions.insertMany([
      { id: "b", metadata: { n: 1 } },
      {},
      { id: "a", startedAt: START - HOUR_MS },
    ]);
    expect(stored.map(({ metadata }) => metadata)).toEqual([{ n: 1 }, {}, {}]);
    expect(await t.sessions.getMany(idsOf(stored))).toEqual(stored);
    expect(await t.sessions.insertMany([])).toEqual([]);
  });

  test("starts none if one id is taken or given twice, and says which", async () => {
    await using t = await tempSessions();
    await t.sessions.start("taken");
    for (const id of ["taken", "x"]) {
      const error = await rejection(t.sessions.insertMany([{ id: "x" }, { id }]));
      expect(error).toMatchObject({ code: "CONFLICT", index: 1, id });
    }
    expect(idsOf(await t.sessions.latest())).toEqual(["taken"]);
  });
});

describe("end", () => {
  test("stores the time and the summary, and keeps the rest", async () => {
    await using t = await tempSessions();
    const { startedAt, metadata } = await t.sessions.start("s", { metadata: { a: 1 } });
    const ended = await t.sessions.end("s", "done");
    expect(ended).toEqual({
      id: "s",
      project: "default",
      startedAt,
      endedAt: new Date(START + 2000),
      summary: "done",
      metadata,
    });
    expect(await t.sessions.get("s")).toEqual(ended);
  });

  test("called again moves the end, and keeps the summary unless another is given", async () => {
    await using t = await tempSessions();
    await t.sessions.start("s");
    await t.sessions.end("s", "done");
    expect(await t.sessions.end("s")).toMatchObject({ summary: "done", endedAt: new Date(START + 3000) });
    expect(await t.sessions.end("s", "")).toMatchObject({ summary: "", endedAt: new Date(START + 4000) });
  });

  test("never lies before the start, whatever the clock says", async () => {
    await using t = await tempSessions();
    const { startedAt } = await t.sessions.start("s");
    t.setBack(2 * HOUR_MS);
    expect((await t.sessions.end("s"))?.endedAt).toEqual(startedAt);
  });
});

test("an unknown id is undefined to get and end, left out by getMany, and NOT_FOUND for require", async () => {
  await using t = await tempSessions();
  await t.sessions.insertMany([{ id: "a" }, { id: "b" }]);
  expect(await t.sessions.get("unknown")).toBeUndefined();
  expect(await t.sessions.end("unknown", "done")).toBeUndefined();
  expect(idsOf(await t.sessions.getMany(["b", "unknown", "a"]))).toEqual(["b", "a"]);
  expect(await t.sessions.getMany([])).toEqual([]);
  expect((await t.sessions.require("a")).id).toBe("a");
  const error = await rejection(t.sessions.require("unknown"));
  expect(error).toMatchObject({ name: "StorageError", code: "NOT_FOUND" });
  expect(error.message).toBe('There is no session "unknown" in project "default". Check the id and the project');
});

describe("list, latest and active", () => {
  test("the newest start comes first; of equal starts, the one stored last", async () => {
    await using t = await tempSessions();
    await t.sessions.insertMany([
      { id: "old", startedAt: START },
      { id: "twin 1", startedAt: START + 1 },
      { id: "older", startedAt: START - 1 },
      { id: "twin 2", startedAt: START + 1 },
    ]);
    const order = ["twin 2", "twin 1", "old", "older"];
    expect(idsOf((await t.sessions.list()).items)).toEqual(order);
    expect(idsOf(await t.sessions.latest())).toEqual(order);
    expect(idsOf(await t.sessions.latest(1))).toEqual(["twin 2"]);
    expect(await t.sessions.latest(0)).toEqual([]);
  });

  test("pages contain every session once, also when sessions start between them", async () => {
    await using t = await tempSessions();
    await t.sessions.insertMany(
      Array.from({ length: 10 }, (_, i) => ({ id: `s${i}`, startedAt: START + Math.floor(i / 4) })),
    );
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await t.sessions.list({ limit: 3, cursor });
      expect(page.items.length).toBeLessThanOrEqual(3);
      found.push(...idsOf(page.items));
      cursor = page.nextCursor;
      await t.sessions.start(undefined, { startedAt: START + HOUR_MS });
    } while (cursor !== undefined);
    expect(found).toEqual(Array.from({ length: 10 }, (_, i) => `s${9 - i}`));
  });

  test("a page has 50 sessions by default, and a limit of Infinity lists all", async () => {
    await using t = await tempSessions();
    await t.sessions.insertMany(Array.from({ length: 51 }, (_, i) => ({ id: `s${i}` })));
    const { items, nextCursor } = await t.sessions.list();
    expect(items).toHaveLength(50);
    expect(idsOf((await t.sessions.list({ cursor: nextCursor })).items)).toEqual(["s0"]);
    expect(await t.sessions.latest()).toHaveLength(50);
    const all = await t.sessions.list({ limit: Number.POSITIVE_INFINITY });
    expect(all).toMatchObject({ items: { length: 51 }, nextCursor: undefined });
  });

  test("since and until include their bounds, on every page", async () => {
    await using t = await tempSessions();
    await t.sessions.insertMany([0, 1, 2, 3].map((i) => ({ id: `s${i}`, startedAt: START + i })));
    const { items, nextCursor } = await t.sessions.list({ since: new Date(START + 1), until: START + 2, limit: 1 });
    expect(idsOf(items)).toEqual(["s2"]);
    const rest = await t.sessions.list({ since: START + 1, until: START + 2, cursor: nextCursor });
    expect(idsOf(rest.items)).toEqual(["s1"]);
    expect(rest.nextCursor).toBeUndefined();
  });

  test("the active session is the newest that has not ended", async () => {
    await using t = await tempSessions();
    expect(await t.sessions.active()).toBeUndefined();
    const first = await t.sessions.start("first");
    const second = await t.sessions.start("second");
    expect(await t.sessions.active()).toEqual(second);
    await t.sessions.end("second");
    expect(await t.sessions.active()).toEqual(first);
    await t.sessions.end("first");
    expect(await t.sessions.active()).toBeUndefined();
  });

  test("after the clock was set back, the earlier session with the later start stays active until it ends", async () => {
    await using t = await tempSessions();
    await t.sessions.start("before");
    t.setBack(HOUR_MS);
    await t.sessions.start("after");
    expect(idsOf(await t.sessions.latest())).toEqual(["before", "after"]);
    expect((await t.sessions.active())?.id).toBe("before");
    await t.sessions.end("before");
    expect((await t.sessions.active())?.id).toBe("after");
  });
});

test("each project has its own sessions", async () => {
  await using t = await tempSessions();
  const [a, b] = ["a", "b"].map((name) => t.storage.project(name).sessions) as [Storage["sessions"], typeof t.sessions];
  await a.start("same", { metadata: { of: "a" } });
  const ofB = await b.start("same", { metadata: { of: "b" } });
  await a.start("other");
  expect(ofB).toMatchObject({ project: "b", metadata: { of: "b" } });
  await a.end("same", "of a");
  expect(await b.get("same")).toEqual(ofB);
  expect(await b.active()).toEqual(ofB);
  expect(await b.getMany(["same", "other"])).toEqual([ofB]);
  expect(await b.end("other")).toBeUndefined();
  const { items, nextCursor } = await a.list({ limit: 1 });
  expect(idsOf(items)).toEqual(["other"]);
  // A cursor names a place in time. It gives no access to another project.
  expect((await b.list({ cursor: nextCursor })).items.every(({ project }) => project === "b")).toBe(true);
  expect(await t.sessions.latest()).toEqual([]);
});

test("changes are announced with their ids: one for each call, and none for a call that changed nothing", async () => {
  await using t = await tempSessions();
  const changes: Change[] = [];
  t.storage.on("change", (change) => changes.push(change));
  await t.sessions.start("a");
  await t.storage.project("p").sessions.insertMany([{ id: "b" }, { id: "c" }]);
  await t.sessions.end("a");
  await t.sessions.end("unknown");
  await t.sessions.insertMany([]);
  await rejection(t.sessions.start("a"));
  await rejection(t.sessions.insertMany([{ id: "d" }, { id: "a" }]));
  await t.storage.transaction(async (tx) => {
    await tx.sessions.start("e");
    expect(changes).toHaveLength(3);
  });
  expect(changes).toEqual([
    { project: "default", area: "sessions", action: "insert", ids: ["a"] },
    { project: "p", area: "sessions", action: "insert", ids: ["b", "c"] },
    { project: "default", area: "sessions", action: "update", ids: ["a"] },
    { project: "default", area: "sessions", action: "insert", ids: ["e"] },
  ]);
});

test.each<[string, (sessions: Storage["sessions"]) => Promise<unknown>, string, RegExp]>([
  ["a number as an id", (s) => s.start(1 as never), "TypeError", /`id`/],
  ["an empty id", (s) => s.start(""), "RangeError", /`id`/],
  ["an id over 200 characters", (s) => s.start("s".repeat(201)), "RangeError", /`id`/],
  ["metadata that is a list", (s) => s.start("x", { metadata: [] as never }), "TypeError", /`metadata`/],
  ["a start as text", (s) => s.start("x", { startedAt: "2026" as never }), "TypeError", /`startedAt`/],
  ["an unknown option of start", (s) => s.start("x", { summary: "x" } as never), "TypeError", /summary/],
  ["an input that is no object", (s) => s.insertMany(["x"] as never), "TypeError", /\[0\]|object/],
  ["inputs that are no list", (s) => s.insertMany({ id: "x" } as never), "TypeError", /`inputs`/],
  ["a number as a summary", (s) => s.end("s", 5 as never), "TypeError", /`summary`/],
  ["a summary over 100,000 characters", (s) => s.end("s", "x".repeat(100_001)), "RangeError", /`summary`/],
  ["get without an id", (s) => s.get(undefined as never), "TypeError", /`id`/],
  ["require of an empty id", (s) => s.require(""), "RangeError", /`id`/],
  ["getMany of one id", (s) => s.getMany("s" as never), "TypeError", /`ids`/],
  ["a limit below 0", (s) => s.list({ limit: -1 }), "RangeError", /`limit`/],
  ["a limit of 1.5", (s) => s.latest(1.5), "RangeError", /`limit`/],
  ["an invalid Date", (s) => s.list({ since: new Date("nonsense") }), "RangeError", /`since`/],
  ["an unknown option of list", (s) => s.list({ from: START } as never), "TypeError", /from/],
  ["a cursor of another list", (s) => s.list({ cursor: "bm90aGluZw" }), "TypeError", /`cursor`/],
])("%s is refused, and nothing is stored", async (_, call, name, message) => {
  await using t = await tempSessions();
  const session = await t.sessions.start("s");
  const error = await rejection(call(t.sessions));
  expect(error).toMatchObject({ name, message: expect.stringMatching(message) });
  expect(await t.sessions.latest()).toEqual([session]);
});
