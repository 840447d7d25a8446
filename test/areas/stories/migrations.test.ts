import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { InvalidStoryError, type StoryData, StoryMigrations } from "holdfast/stories";
import { describe, expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { tempStories } from "../../support/stories.js";

const passages = [{ id: "start", content: "You wake up" }];
const OLD = { name: "Quest", passages, variables: { gold: 10, name: "Ada", done: false, list: [1] } };
const MIDDLE = { title: "Quest", metadata: { title: "Quest", version: "1.0" }, passages, variables: OLD.variables };
const NEW = {
  title: "Quest",
  metadata: { title: "Quest", version: "2.0" },
  passages,
  variables: {
    gold: { type: "number", default: 10 },
    name: { type: "string", default: "Ada" },
    done: { type: "boolean", default: false },
    list: { type: "array", default: [1] },
  },
};

async function opened() {
  const temp = await tempStories("libsql");
  const backupDir = join(temp.dir, "backups");
  return Object.assign(temp, { backupDir, migrations: new StoryMigrations({ service: temp.service, backupDir }) });
}

describe("detectVersion", () => {
  const cases: [string, StoryData][] = [
    ["3.1", { metadata: { version: "3.1" }, name: "x" }],
    ["2.0", { title: "t", passages, variables: { gold: { type: "number", default: 1 } } }],
    ["2.0", { name: "n", variables: [{ name: "gold", type: "number", default: 1 }] }],
    ["0.9", { name: "n", passages }],
    ["0.9", { title: "t" }],
    ["0.9", {}],
    ["1.0", { name: "n", title: "t", passages }],
    ["1.0", { title: "t", passages, variables: { gold: 1, odd: { type: "x" } } }],
    ["1.0", { title: "t", passages: [] }],
  ];
  test.each(cases)("is %s for %o", async (version, story) => {
    await using temp = await opened();
    expect(temp.migrations.detectVersion(story)).toBe(version);
  });
});

describe("validate", () => {
  const cases: [string[], string[], unknown][] = [
    [[], [], { title: "t", passages }],
    [[], [], { metadata: { title: "t" }, passages }],
    [[], ["it has no title"], { passages }],
    [["it has no passages"], [], { title: "t" }],
    [["it has no passages"], [], { title: "t", passages: [] }],
    [["passage 2 has no id"], [], { title: "t", passages: [{ id: "a" }, { content: "x" }] }],
    [['the id "a" is that of several passages'], [], { title: "t", passages: [{ id: "a" }, { id: "a" }] }],
    [["it is not an object"], [], null],
  ];
  test.each(cases)("errors %o, warnings %o", async (errors, warnings, story) => {
    await using temp = await opened();
    expect(temp.migrations.validate(story)).toEqual({ valid: errors.length === 0, errors, warnings });
  });
});

test("a story goes through all versions to the target, and is backed up as it was", async () => {
  await using temp = await opened();
  const { service, migrations } = temp;
  await service.saveStory("../quest", OLD, { metadata: { tags: ["x"] } });
  const result = await migrations.migrate("../quest");
  expect(result).toEqual({
    storyId: "../quest",
    fromVersion: "0.9",
    toVersion: "2.0",
    migrated: true,
    dryRun: false,
    backupPath: expect.any(String),
  });
  expect(await service.loadStory("../quest")).toEqual(NEW);
  expect(await service.getMetadata("../quest")).toMatchObject({ tags: ["x"], revision: 2 });
  expect(JSON.parse(readFileSync(result.backupPath!, "utf8"))).toEqual(OLD);
  expect(readdirSync(temp.backupDir)).toHaveLength(1);
  expect(result.backupPath!.startsWith(temp.backupDir)).toBe(true);
  expect(migrations.history()).toEqual([{ ...result, at: expect.any(Date) }]);
  expect(await migrations.migrate("../quest")).toMatchObject({ migrated: false, fromVersion: "2.0" });
  expect(await migrations.rollback("../quest", result.backupPath!)).toMatchObject({ revision: 3 });
  expect(await service.loadStory("../quest")).toEqual(OLD);
});

test("it stops at a target before the last version", async () => {
  await using temp = await opened();
  await temp.service.saveStory("a", OLD);
  expect(await temp.migrations.migrate("a", { target: "1.0", backup: false })).toEqual({
    storyId: "a",
    fromVersion: "0.9",
    toVersion: "1.0",
    migrated: true,
    dryRun: false,
  });
  expect(await temp.service.loadStory("a")).toEqual(MIDDLE);
});

test("a dry run changes, stores and backs up nothing, but fails where the run would", async () => {
  await using temp = await opened();
  await temp.service.saveStory("a", OLD);
  await temp.service.saveStory("bad", { name: "x" });
  expect(await temp.migrations.migrate("a", { dryRun: true })).toEqual({
    storyId: "a",
    fromVersion: "0.9",
    toVersion: "2.0",
    migrated: false,
    dryRun: true,
  });
  expect(await rejection(temp.migrations.migrate("bad", { dryRun: true }))).toMatchObject({ code: "INVALID_STORY" });
  expect(await temp.service.loadStory("a")).toEqual(OLD);
  expect(readdirSync(temp.dir)).not.toContain("backups");
  expect(temp.migrations.history()).toEqual([]);
});

test("an invalid result is refused with errors and warnings, unless validate is off", async () => {
  await using temp = await opened();
  await temp.service.saveStory("a", { passages: [{ id: "p" }, { id: "p" }, {}] });
  const error = await rejection(temp.migrations.migrate("a"));
  expect(error).toBeInstanceOf(InvalidStoryError);
  expect(error).toMatchObject({
    code: "INVALID_STORY",
    errors: ['the id "p" is that of several passages', "passage 3 has no id"],
    warnings: ["it has no title"],
  });
  expect(await temp.service.getMetadata("a")).toMatchObject({ revision: 1 });
  expect(await temp.migrations.migrate("a", { validate: false })).toMatchObject({ migrated: true });
});

test("registered steps are chained by the shortest way, and may be asynchronous", async () => {
  await using temp = await opened();
  const { migrations, service } = temp;
  const calls: string[] = [];
  migrations.register("2.0", "3.0", async (story) => {
    calls.push("2-3");
    return { ...story, three: true };
  });
  migrations.register("1.0", "3.0", (story) => {
    calls.push("1-3");
    story.direct = true;
    return story;
  });
  await service.saveStory("a", OLD);
  await migrations.migrate("a", { target: "3.0" });
  expect(calls).toEqual(["1-3"]);
  expect(await service.loadStory("a")).toMatchObject({ direct: true, metadata: { version: "3.0" } });
  await service.saveStory("b", NEW);
  await migrations.migrate("b", { target: "3.0" });
  expect(calls).toEqual(["1-3", "2-3"]);
});

test("a missing step, a step that throws or returns no story, and a concurrent change reject with MIGRATION_FAILED", async () => {
  await using temp = await opened();
  const { migrations, service } = temp;
  await service.saveStory("a", NEW);
  expect(await rejection(migrations.migrate("a", { target: "9.0" }))).toMatchObject({ code: "MIGRATION_FAILED" });
  const cause = new Error("broken step");
  migrations.register("2.0", "3.0", () => {
    throw cause;
  });
  expect(await rejection(migrations.migrate("a", { target: "3.0" }))).toMatchObject({
    code: "MIGRATION_FAILED",
    cause,
  });
  migrations.register("2.0", "3.0", () => undefined as unknown as StoryData);
  expect(await rejection(migrations.migrate("a", { target: "3.0" }))).toMatchObject({ code: "MIGRATION_FAILED" });
  migrations.register("2.0", "3.0", async (story) => {
    await service.saveStory("a", { ...NEW, edited: true });
    return story;
  });
  expect(await rejection(migrations.migrate("a", { target: "3.0" }))).toMatchObject({
    code: "MIGRATION_FAILED",
    cause: { code: "CONFLICT" },
  });
  expect(await service.loadStory("a")).toEqual({ ...NEW, edited: true });
  expect(await rejection(migrations.migrate("missing"))).toMatchObject({ code: "NOT_FOUND" });
});

test("migrateAll migrates each story separately and reports on all", async () => {
  await using temp = await opened();
  await temp.service.batchSave({ a: OLD, b: MIDDLE, c: NEW, bad: { name: "no passages" } });
  const progress: unknown[] = [];
  const result = await temp.migrations.migrateAll({ onProgress: (step) => progress.push(step) });
  expect(result).toMatchObject({ total: 4, migrated: 2, skipped: 1, failed: 1 });
  expect(Object.keys(result.errors)).toEqual(["bad"]);
  expect(result.errors.bad).toMatchObject({ code: "INVALID_STORY" });
  expect(progress).toHaveLength(4);
  expect(progress.at(-1)).toMatchObject({ done: 4, total: 4 });
  for (const id of ["a", "b"]) expect(await temp.service.loadStory(id)).toEqual(NEW);
  expect(await temp.migrations.migrateAll()).toMatchObject({ total: 4, migrated: 0, skipped: 3, failed: 1 });
  expect(await temp.migrations.migrateAll({ target: "1.0" })).toMatchObject({ migrated: 0, failed: 4 });
});

test("rollback refuses a file that is not a backup", async () => {
  await using temp = await opened();
  await temp.service.saveStory("a", NEW);
  const junk = join(temp.dir, "junk.json");
  expect(await rejection(temp.migrations.rollback("a", junk))).toMatchObject({ code: "NOT_FOUND" });
  for (const text of ["", "{", "[]", "null"]) {
    writeFileSync(junk, text);
    expect(await rejection(temp.migrations.rollback("a", junk))).toMatchObject({ code: "INVALID_STORY" });
  }
  expect(await temp.service.getMetadata("a")).toMatchObject({ revision: 1 });
});

test("wrong options are refused, and so is a backup without a folder", async () => {
  await using temp = await opened();
  const { service, migrations } = temp;
  expect(() => new StoryMigrations({ service: {} as typeof service })).toThrow(TypeError);
  expect(() => new StoryMigrations({ service, backupDir: "" })).toThrow(TypeError);
  expect(() => migrations.detectVersion(null as unknown as StoryData)).toThrow(/`story`/);
  expect(() => migrations.register("1.0", "1.0", (story) => story)).toThrow(RangeError);
  expect(() => migrations.register("1.0", "1.1", "x" as unknown as () => StoryData)).toThrow(TypeError);
  await expect(migrations.migrate("a", { to: "2.0" } as object)).rejects.toThrow(TypeError);
  await service.saveStory("a", OLD);
  const without = new StoryMigrations({ service });
  expect(await rejection(without.migrate("a"))).toBeInstanceOf(TypeError);
  expect(await service.loadStory("a")).toEqual(OLD);
  expect(await without.migrate("a", { backup: false })).toMatchObject({ migrated: true });
});
