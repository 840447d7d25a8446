import { openStorage } from "holdfast";
import { expect, test } from "vitest";
import { holdfast } from "../support/cli.js";
import { tempDatabase } from "../support/temp.js";

test("show finds a record by its id or the end of it, and lists the ids if several end so", async () => {
  await using db = await tempDatabase();
  const storage = await openStorage(db.path);
  const memory = await storage.memories.insert({ content: "first line\nsecond line" });
  await storage.memories.insert({ id: "mine-1", content: "one" });
  await storage.memories.insert({ id: "mine-11", content: "two" });
  await storage.sessions.start("afternoon");
  const conversation = await storage.conversations.insert({ title: "Walruses" });
  const said = await storage.conversations.append(conversation.id, { role: "user", content: "Do they dive?" });
  await storage.project("other").memories.insert({ id: "elsewhere", content: "far away" });
  await storage.close();
  const run = (...args: string[]) => holdfast(["show", ...args, "--url", db.path]);
  const text = (await run(memory.id.slice(-8))).stdout;
  expect(text).toMatch(/^memory\nid {2}.*\n/);
  expect(text).toMatch(/\n\nfirst line\nsecond line\n$/);
  expect(text).toMatch(/^createdAt {2}\d{4}.*Z$/m);
  expect(JSON.parse((await run(memory.id, "--json")).stdout)).toMatchObject({
    kind: "memory",
    record: { content: "first line\nsecond line" },
  });
  expect((await run("ternoon")).stdout).toMatch(/^session\nid {2}afternoon\n/);
  expect((await run(conversation.id.slice(-8))).stdout).toMatch(/\n1 user {2}\S+Z\nDo they dive\?\n$/);
  expect(JSON.parse((await run(said.id, "--json")).stdout)).toMatchObject({ kind: "message" });
  // An id that is also the end of another one.
  expect((await run("mine-1")).stdout).toMatch(/\n\none\n$/);
  expect(await run("1")).toMatchObject({ code: 1, stderr: expect.stringMatching(/CONFLICT: .* mine-1, mine-11/) });
  expect(await run("elsewhere")).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/NOT_FOUND: .* Other projects: "other"\. Name one with --project\n$/),
  });
});

test("stats, search, show, export and a dry prune read a file of an older version as far as its tables go", async () => {
  await using db = await tempDatabase();
  const storage = await openStorage(db.path);
  await storage.memories.insert({ id: "m1", content: "a walrus" });
  await storage.close();
  const run = (...args: string[]) => holdfast([...args, "--url", db.path], { cwd: db.dir });
  const reads = [
    ["stats"],
    ["search", "walrus"],
    ["show", "m1"],
    ["export"],
    ["prune", "--max-rows", "0", "--dry-run"],
  ];
  expect(await run("revert", "--to", "0000_memories_and_sessions")).toMatchObject({ code: 0 });
  for (const args of reads) {
    const { code, stdout, stderr } = await run(...args);
    expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: "" });
    expect(stdout).not.toBe("");
  }
  expect(await run("status", "--exit-code")).toMatchObject({ code: 1 });
  // A file without any tables of Holdfast: its statistics were a syntax error.
  expect(await run("revert", "--steps", "1")).toMatchObject({ code: 0 });
  expect(await run("stats")).toMatchObject({ code: 0, stderr: "" });
  const migrated = await run("migrate");
  // The same lines were on standard error too.
  expect(migrated).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^applied 0000_/) });
  expect(await run("status", "--exit-code")).toMatchObject({ code: 0 });
});

test("stats leaves out empty tables, but for JSON", async () => {
  await using db = await tempDatabase();
  const storage = await openStorage(db.path);
  await storage.memories.insert({ content: "a walrus" });
  await storage.close();
  const { stdout } = await holdfast(["stats", "--url", db.path]);
  expect(stdout.match(/^rows of .*$/gm)).toEqual(["rows of memories\t1"]);
  const { tables } = JSON.parse((await holdfast(["stats", "--json", "--url", db.path])).stdout);
  expect(tables.length).toBeGreaterThan(5);
});

test("compact returns what a check calls reclaimable", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  const made = await storage.memories.insertMany(
    Array.from({ length: 200 }, (_, n) => ({ content: `${n} ${"walrus ".repeat(500)}` })),
  );
  for (const { id } of made) await storage.memories.purge(id);
  const run = (...args: string[]) => holdfast([...args, "--url", db.path]);
  expect((await run("check")).stdout).toMatch(/^info {2}RECLAIMABLE .*`holdfast compact --url /m);
  const { bytesBefore, bytesAfter, freeBytes } = JSON.parse((await run("compact", "--json")).stdout);
  expect(bytesAfter).toBeLessThan(bytesBefore / 2);
  expect(freeBytes).toBe(0);
  expect((await run("check")).stdout).not.toContain("RECLAIMABLE");
  expect(await storage.compact()).toEqual({ bytesBefore: bytesAfter, bytesAfter, freeBytes: 0 });
});
