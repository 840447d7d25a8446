import { openStorage } from "holdfast";
import { describe, expect, test } from "vitest";
import { openSecond, rejection } from "../../support/clients.js";
import { fileTest, tempFileStorage, tempStorage } from "../../support/storage.js";
import { delivered, SECRET } from "../../support/stories.js";

const NAMES = ["a", "A", "a ", "á", "a%", "' OR 1=1 --", "*", "default", "p".repeat(200)];

describe("stories of a storage", () => {
  test("restore of a story whose last text is damaged is CORRUPT, and the story stays deleted", async () => {
    await using temp = await tempFileStorage();
    const { storage } = temp;
    const { stories } = storage;
    await stories.saveStory("a", { n: 1 });
    await stories.deleteStory("a");
    await storage.client.execute(`UPDATE story_contents SET data = '{"n":2}'`);
    expect(await rejection(stories.restore("a"))).toMatchObject({ code: "CORRUPT" });
    expect(await stories.hasStory("a")).toBe(false);
    await storage.client.execute(`UPDATE story_contents SET data = '{"n":1}'`);
    await stories.restore("a");
    expect(await stories.loadStory("a")).toEqual({ n: 1 });
  });

  test("project B gets nothing from project A through any method, with any names", async () => {
    await using temp = await tempStorage({ secret: SECRET });
    const { storage } = temp;
    for (const name of NAMES) {
      const { stories } = storage.project(name);
      await stories.saveStory("same", { title: name, n: 1 }, { metadata: { tags: ["t", name] } });
      await stories.saveStory("same", { title: name, n: 2 });
      await stories.backend.savePreference("p", { value: name });
      await stories.backend.addToSyncQueue({ id: "q", storyId: "same", action: "update", data: name });
      await stories.backend.saveGithubToken(name);
    }
    const check = async (name: string) => {
      const { stories } = storage.project(name);
      const { backend } = stories;
      expect(await stories.loadStory("same", { skipCache: true })).toEqual({ title: name, n: 2 });
      expect((await stories.listStories()).map(({ title }) => title)).toEqual([name]);
      expect(await stories.listStories({ tags: ["t"] })).toHaveLength(1);
      expect(await stories.listStories({ tags: NAMES.filter((other) => other !== name) })).toEqual([]);
      expect((await stories.revisions("same")).map(({ revision }) => revision)).toEqual([2, 1]);
      expect(await stories.loadRevision("same", 1)).toEqual({ title: name, n: 1 });
      expect((await stories.getStatistics()).totalSizeBytes).toBe((await stories.getMetadata("same"))!.size);
      expect(await backend.listPreferences("")).toEqual(["p"]);
      expect((await backend.loadPreference("p"))?.value).toBe(name);
      expect((await backend.getSyncQueue()).map(({ data }) => data)).toEqual([name]);
      expect(await backend.loadGithubToken()).toBe(name);
    };
    for (const name of NAMES) await check(name);
    const { stories } = storage.project("a");
    await stories.updateMetadata("same", { title: "changed", tags: [] });
    await stories.deleteStory("same");
    await stories.restore("same");
    await stories.clear();
    await stories.backend.clearSyncQueue();
    await stories.backend.deletePreference("p");
    await stories.backend.deleteGithubToken();
    for (const name of NAMES.filter((other) => other !== "a")) await check(name);
  });

  test("purgeProject removes all stories of a project with their history, and projects counts stories that are not deleted", async () => {
    await using temp = await tempStorage({ secret: SECRET });
    const { storage } = temp;
    const changes: unknown[] = [];
    storage.on("change", (change) => changes.push(change));
    for (const name of ["a", "b"]) {
      const { stories } = storage.project(name);
      await stories.saveStory("one", { n: 1 }, { metadata: { tags: ["x"] } });
      await stories.saveStory("gone", { n: 1 });
      await stories.deleteStory("gone");
      await stories.backend.savePreference("p", { value: 1 });
      await stories.backend.addToSyncQueue({ storyId: "one", action: "update" });
      await stories.backend.saveGithubToken("t");
    }
    expect(await storage.projects()).toEqual([
      { project: "a", count: 1 },
      { project: "b", count: 1 },
    ]);
    changes.length = 0;
    expect(await storage.purgeProject("a")).toBe(2);
    expect(changes).toEqual([{ project: "a", area: "stories", action: "purge", ids: ["gone", "one"] }]);
    const health = await storage.health();
    const tables = health.tables.filter(({ table }) => table.startsWith("stor"));
    expect(Object.fromEntries(tables.map(({ table, rows }) => [table, rows]))).toEqual({
      stories: 2,
      story_contents: 2,
      story_revisions: 2,
      story_tags: 1,
      story_search: 0,
      story_preferences: 1,
      story_sync_queue: 1,
      story_secrets: 1,
    });
    expect(await storage.project("a").stories.revisions("one")).toEqual([]);
  });

  test("changes are announced after COMMIT, through all ways to make them", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    const changes: string[] = [];
    storage.on("change", ({ area, action, ids }) => changes.push(`${area} ${action} ${ids}`));
    const { stories } = storage;
    await stories.saveStory("a", { n: 1 });
    await stories.saveStory("a", { n: 2 });
    await stories.updateMetadata("a", { title: "T" });
    await stories.updateMetadata("a", {});
    await stories.deleteStory("a");
    await stories.deleteStory("a");
    await stories.restore("a");
    await stories.backend.save("b", {}, {});
    await rejection(stories.saveStory("a", {}, { expectedRevision: 1 }));
    await stories.clear();
    expect(changes).toEqual([
      "stories insert a",
      "stories update a",
      "stories update a",
      "stories delete a",
      "stories restore a",
      "stories insert b",
      "stories purge a,b",
    ]);
  });

  test("in a transaction nothing enters the shared cache and no event is delivered before COMMIT", async () => {
    await using temp = await tempStorage();
    const { stories } = temp.storage;
    const events: string[] = [];
    for (const name of ["story_saved", "story_created", "story_updated", "story_deleted", "story_loaded"] as const) {
      stories.on(name, ({ id }) => events.push(`${name} ${id}`));
    }
    await stories.saveStory("a", { n: 1 });
    await delivered();
    events.length = 0;
    await temp.storage.transaction(async (tx) => {
      await tx.stories.saveStory("a", { n: 2 });
      expect(await tx.stories.loadStory("a")).toEqual({ n: 2 });
      await tx.project("default").stories.saveStory("b", { n: 1 });
      // Outside, the committed state: out of the cache, whose story is still the present one.
      expect(await stories.loadStory("a")).toEqual({ n: 1 });
      expect(await stories.loadStory("a", { skipCache: true })).toEqual({ n: 1 });
      expect(await stories.loadStory("b")).toBeUndefined();
      await delivered();
      expect(events).toEqual(["story_loaded a", "story_loaded a"]);
      events.length = 0;
    });
    await delivered();
    expect(events).toEqual(["story_saved a", "story_updated a", "story_loaded a", "story_saved b", "story_created b"]);
    expect(await stories.loadStory("a")).toEqual({ n: 2 });
    expect(await stories.getStatistics()).toMatchObject({ saves: 3 });
  });

  test("changes that a transaction or a savepoint rolls back are neither announced nor cached", async () => {
    await using temp = await tempStorage();
    const { stories } = temp.storage;
    const events: string[] = [];
    stories.on("story_saved", ({ id }) => events.push(id));
    await stories.saveStory("a", { n: 1 });
    await rejection(
      temp.storage.transaction(async (tx) => {
        await tx.stories.saveStory("a", { n: 2 });
        await tx.stories.deleteStory("a");
        throw new Error("no");
      }),
    );
    await temp.storage.transaction(async (tx) => {
      await rejection(
        tx.savepoint(async (sp) => {
          await sp.stories.saveStory("a", { n: 3 });
          throw new Error("no");
        }),
      );
      await tx.savepoint((sp) => sp.stories.saveStory("kept", {}));
      expect(await tx.stories.loadStory("a")).toEqual({ n: 1 });
    });
    await delivered();
    expect(events).toEqual(["a", "kept"]);
    expect(await stories.loadStory("a")).toEqual({ n: 1 });
    expect(await stories.getStatistics()).toMatchObject({ saves: 2, deletes: 0 });
  });

  test("a handle used after its transaction, and the outer service inside of it, are refused", async () => {
    await using temp = await tempStorage();
    let late: Awaited<ReturnType<typeof openStorage>>["stories"] | undefined;
    await temp.storage.transaction(async (tx) => {
      late = tx.stories;
      expect(await rejection(temp.storage.stories.saveStory("a", {}))).toMatchObject({ code: "WRONG_HANDLE" });
      // Not one of the `errors` of a batch, which many callers do not read.
      expect(await rejection(temp.storage.stories.batchSave({ a: {} }))).toMatchObject({ code: "WRONG_HANDLE" });
    });
    expect(await rejection(late!.batchSave({ a: {} }))).toMatchObject({ code: "TRANSACTION_CLOSED" });
    expect(await rejection(late!.batchLoad(["a"]))).toMatchObject({ code: "TRANSACTION_CLOSED" });
    expect(await rejection(late!.saveStory("a", {}))).toMatchObject({ code: "TRANSACTION_CLOSED" });
    expect(await rejection(late!.loadStory("a"))).toMatchObject({ code: "TRANSACTION_CLOSED" });
  });

  test("listeners of a project outlast a thousand other projects", async () => {
    await using temp = await tempStorage();
    const events: string[] = [];
    temp.storage.project("kept").stories.on("story_saved", ({ id }) => events.push(id));
    for (let n = 0; n < 1_500; n++) temp.storage.project(`p${n}`);
    (globalThis as { gc?: () => void }).gc?.();
    await temp.storage.project("kept").stories.saveStory("a", {});
    await delivered();
    expect(events).toEqual(["a"]);
  });

  test("close of a storage's service leaves the storage open", async () => {
    await using temp = await tempStorage();
    await temp.storage.stories.close();
    expect(await temp.storage.stories.saveStory("a", {})).toMatchObject({ revision: 1 });
  });

  test("options of the storage reach its stories", async () => {
    await using temp = await tempStorage({ stories: { historyLimit: 2, cacheSize: 3 }, secret: SECRET });
    const { stories } = temp.storage;
    for (let n = 0; n < 4; n++) await stories.saveStory("a", { n });
    expect(await stories.revisions("a")).toHaveLength(2);
    expect(await stories.getStatistics()).toMatchObject({ cacheMaxSize: 3 });
    await stories.backend.saveGithubToken("t");
    await expect(openStorage({ url: ":memory:", stories: { historyLimit: 0 } })).rejects.toThrow(RangeError);
  });
});

describe("the tables", () => {
  test("damaged content is CORRUPT, and other stories are not affected", async () => {
    await using temp = await tempStorage();
    const { stories } = temp.storage;
    await stories.saveStory("a", { n: 1 });
    await stories.saveStory("a", { n: 2 });
    await stories.saveStory("b", { n: 3 });
    await temp.storage.client.execute(`update story_contents set data = '{"n":9}' where data = '{"n":2}'`);
    expect(await rejection(stories.loadStory("a", { skipCache: true }))).toMatchObject({ code: "CORRUPT" });
    expect(await stories.loadStory("b", { skipCache: true })).toEqual({ n: 3 });
    await stories.revert("a", 1);
    expect(await stories.loadStory("a", { skipCache: true })).toEqual({ n: 1 });
  });

  test("the record's checksum changes with every part of it", async () => {
    await using temp = await tempStorage({ now: () => 1_000 });
    const { stories } = temp.storage;
    const checksum = async () => (await temp.storage.client.execute("select checksum from stories")).rows[0]![0];
    const seen = new Set<unknown>();
    await stories.saveStory("a", { n: 1 });
    seen.add(await checksum());
    await stories.updateMetadata("a", { title: "T" });
    seen.add(await checksum());
    await stories.updateMetadata("a", { tags: ["x"] });
    seen.add(await checksum());
    await stories.saveStory("a", { n: 2 });
    seen.add(await checksum());
    expect(seen.size).toBe(4);
  });

  test("contents without a revision are removed, the others stay", async () => {
    await using temp = await tempStorage({ stories: { historyLimit: 2 } });
    const { stories } = temp.storage;
    const contents = async () =>
      Number((await temp.storage.client.execute("select count(*) from story_contents")).rows[0]![0]);
    await stories.saveStory("a", { n: 1 });
    for (let n = 0; n < 5; n++) await stories.saveStory("a", { n: 1 });
    expect(await contents()).toBe(1);
    for (let n = 2; n < 8; n++) await stories.saveStory("a", { n });
    expect(await contents()).toBe(2);
    for (let n = 0; n < 4; n++) await stories.updateMetadata("a", { title: `${n}` });
    expect(await contents()).toBe(1);
    expect(await stories.loadStory("a", { skipCache: true })).toEqual({ n: 7 });
  });

  fileTest.each([
    ["without statistics", false],
    ["after ANALYZE", true],
  ])("no call reads a whole table %s", async (_name, isAnalyzed) => {
    await using temp = await tempFileStorage({ secret: SECRET, stories: { historyLimit: 2 } });
    const { storage } = temp;
    const { stories } = storage;
    for (let n = 0; n < 200; n++) await stories.saveStory(`s${n}`, { n }, { metadata: { tags: [`t${n % 4}`] } });
    if (isAnalyzed) await storage.client.execute("ANALYZE");
    const statements = new Map<string, number>();
    const transaction = storage.client.transaction.bind(storage.client);
    const execute = storage.client.execute.bind(storage.client);
    const note = (statement: unknown) => {
      const { sql, args } = statement as { sql: string; args: unknown[] };
      if (typeof sql === "string" && /stor(y|ies)/.test(sql) && args !== undefined) statements.set(sql, args.length);
    };
    storage.client.execute = (async (statement: never) => {
      note(statement);
      return execute(statement);
    }) as typeof execute;
    storage.client.transaction = (async (mode: never) => {
      const inner = await transaction(mode);
      const run = inner.execute.bind(inner);
      inner.execute = (async (statement: never) => {
        note(statement);
        return run(statement);
      }) as typeof run;
      return inner;
    }) as typeof transaction;
    for (let n = 0; n < 4; n++) await stories.saveStory("a", { n }, { metadata: { tags: [`t${n}`] } });
    await stories.updateMetadata("a", { title: "T" });
    await stories.loadStory("a");
    await stories.loadStory("a", { skipCache: true });
    await stories.listStories({ limit: 10, offset: 1 });
    await stories.listStories({ tags: ["t1", "t2"] });
    await stories.revisions("a");
    await stories.loadRevision("a", 5);
    await stories.getStatistics();
    await stories.searchStories("nothing of the kind", { tags: ["t1"] });
    await stories.searchStories("T");
    await stories.backend.savePreference("p", { value: 1 });
    await stories.backend.listPreferences("p");
    await stories.backend.getSyncQueue();
    await stories.backend.saveGithubToken("t");
    await stories.backend.loadGithubToken();
    await stories.clear();
    expect(statements.size).toBeGreaterThan(20);
    using file = openSecond(temp.db.path);
    for (const [sql, count] of statements) {
      const plan = file.all(
        `EXPLAIN QUERY PLAN ${sql}`,
        Array.from({ length: count }, () => "x"),
      );
      const steps = plan.map((row) => String(row[3]));
      const harmless = /CONSTANT|VIRTUAL TABLE INDEX|SCAN \(subquery|SCAN (c|entry)$/;
      expect(
        steps.filter((step) => step.startsWith("SCAN") && !harmless.test(step)),
        sql,
      ).toEqual([]);
      if (sql.includes("offset") && !sql.includes("story_tags") && sql.includes("updated_at")) {
        expect(steps.join(), sql).not.toContain("TEMP B-TREE");
      }
    }
  });
});
