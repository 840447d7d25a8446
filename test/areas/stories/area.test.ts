import type { Storage } from "holdfast";
import { expect, test } from "vitest";
import { tempStorage } from "../../support/storage.js";

async function fill(storage: Storage): Promise<void> {
  for (const project of ["default", "other"]) {
    const { stories } = storage.project(project);
    await stories.saveStory("a", { title: "One", passages: [{ id: "p", text: "the walrus 数据" }] });
    await stories.saveStory("a", { title: "Two", passages: [{ id: "p", text: "the walrus returns" }] });
    await stories.updateMetadata("a", { title: "Own title", tags: ["x", "y"] });
    await stories.saveStory("gone", { title: "Gone" });
    await stories.deleteStory("gone");
    await stories.backend.savePreference?.("theme", { value: { dark: true }, scope: "user" } as never);
  }
}

const TABLES = [
  `select project, id, title, title_is_own, tags, size, revision, created_at, updated_at, deleted_at, checksum from stories
    order by 1, 2`,
  `select r.project, r.id, r.revision, r.created_at, c.data, c.size, c.checksum from story_revisions r
    join story_contents c on c.row_id = r.content_row_id order by 1, 2, 3`,
  "select t.project, t.tag, s.id from story_tags t join stories s on s.row_id = t.story_row_id order by 1, 2, 3",
  "select * from story_preferences order by 1, 2",
  "select project, count(*) from story_contents group by 1 order by 1",
];

async function dump(storage: Storage): Promise<unknown> {
  const answers = await storage.client.batch(TABLES, "read");
  return answers.map(({ rows }) => rows.map((row) => Array.from(row as ArrayLike<unknown>)));
}

test("an export of stories, imported elsewhere, gives the same stories, histories, tags and preferences", async () => {
  await using source = await tempStorage();
  await fill(source.storage);
  await using target = await tempStorage();
  await target.storage.import(source.storage.export());
  expect(await dump(target.storage)).toEqual(await dump(source.storage));
  expect(await target.storage.check({ deep: true })).toMatchObject({ ok: true });
  const own = target.storage.project("other").stories;
  expect(await own.loadStory("a")).toMatchObject({ title: "Two" });
  expect((await own.revisions("a")).length).toBeGreaterThan(1);
  await target.storage.import(source.storage.export(), { onConflict: "replace" });
  expect(await dump(target.storage)).toEqual(await dump(source.storage));
});

test("a check finds a story that was changed by hand, and prune takes one with its history", async () => {
  await using temp = await tempStorage();
  const { storage } = temp;
  await fill(storage);
  const dry = await storage.prune({ maxRows: 1, project: "other", dryRun: true });
  expect(dry.removed).toEqual([{ project: "other", area: "stories", rows: 1 }]);
  expect(await storage.prune({ maxRows: 0, project: "other" })).toMatchObject({ removed: [{ rows: 2 }] });
  const { rows } = await storage.client.execute("select count(*) from story_contents where project = 'other'");
  expect(rows[0]![0]).toBe(0);
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
  await storage.client.execute(`update story_contents set data = '{"title":"forged"}' where project = 'default'`);
  await storage.client.execute("update stories set title = 'forged' where id = 'gone'");
  const { findings } = await storage.check({ deep: true });
  expect(findings.filter(({ code }) => code === "CHECKSUM").length).toBeGreaterThan(2);
});
