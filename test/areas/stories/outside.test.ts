import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Autosave, type StoryService } from "holdfast/stories";
import { describe, expect, test } from "vitest";
import { runChild } from "../../support/child.js";
import { rejection } from "../../support/clients.js";
import { seededRandom } from "../../support/random.js";
import { delivered, type TempStories, tempStories } from "../../support/stories.js";

// Stories in files are edited by programs that know nothing of the library: editors, sync services, version control.

/** How other programs write a file. */
const WRITERS: Record<string, (path: string, text: string) => void> = {
  "in place": (path, text) => writeFileSync(path, text),
  "by a rename": (path, text) => {
    writeFileSync(`${path}.swp`, text);
    renameSync(`${path}.swp`, path);
  },
  "with the size and the time it had": (path, text) => {
    const { size, atime, mtime } = statSync(path);
    writeFileSync(path, text.length < size ? `${text}${" ".repeat(size - text.length)}` : text);
    utimesSync(path, atime, mtime);
  },
};

const story = (temp: TempStories, name: string) => join(temp.path, "stories", `${name}.json`);

function problemsOf(service: StoryService): { operation: string; key?: string; error: unknown }[] {
  const problems: { operation: string; key?: string; error: unknown }[] = [];
  service.on("storage_error", (problem) => problems.push(problem));
  return problems;
}

describe.each(Object.entries(WRITERS))("a story that another program changes %s", (_, write) => {
  const mine = { title: "Q", text: "mine, and longer than what the other one writes" };
  const outside = { title: "Theirs", n: 1 };

  async function edited(): Promise<TempStories> {
    const temp = await tempStories("filesystem");
    await temp.service.saveStory("q", mine, { metadata: { tags: ["kept"] } });
    expect(await temp.service.loadStory("q")).toEqual(mine);
    write(story(temp, "q"), JSON.stringify(outside));
    return temp;
  }

  test("fails a conditional save, and both texts are kept", async () => {
    await using temp = await edited();
    const { service } = temp;
    const error = await rejection(service.saveStory("q", { n: "lost" }, { expectedRevision: 1 }));
    expect(error).toMatchObject({ code: "CONFLICT", actualRevision: 2 });
    expect(await service.loadStory("q")).toEqual(outside);
    expect(await service.revisions("q")).toMatchObject([{ revision: 2, source: "outside" }, { revision: 1 }]);
    expect((await service.revisions("q"))[1]).not.toHaveProperty("source");
    expect(await service.loadRevision("q", 1)).toEqual(mine);
    expect(await service.loadRevision("q", 2)).toEqual(outside);
    expect(await service.saveStory("q", { n: 3 }, { expectedRevision: 2 })).toMatchObject({ revision: 3 });
    expect(await service.loadRevision("q", 2)).toEqual(outside);
  });

  test("is kept in the history by a save without a condition", async () => {
    await using temp = await edited();
    const { service } = temp;
    expect(await service.saveStory("q", { n: 3 })).toMatchObject({ revision: 3, tags: ["kept"] });
    expect(await service.loadRevision("q", 2)).toEqual(outside);
    expect(await service.loadRevision("q", 1)).toEqual(mine);
    expect(await service.revisions("q")).toMatchObject([{ revision: 3 }, { revision: 2, source: "outside" }, {}]);
  });

  test("is loaded, even if the story is cached, and in another process", async () => {
    await using temp = await edited();
    const other = await temp.openAnother();
    expect(await temp.service.loadStory("q")).toEqual(outside);
    expect(await temp.service.getMetadata("q")).toMatchObject({ title: "Theirs", tags: ["kept"], revision: 2 });
    expect(await other.loadStory("q")).toEqual(outside);
    expect(await other.getMetadata("q")).toEqual(await temp.service.getMetadata("q"));
  });

  test("is a conflict for an Autosave whose edit began before it", async () => {
    await using temp = await tempStories("filesystem");
    const { service } = temp;
    await service.saveStory("q", mine);
    const autosave = new Autosave({ service, debounce: 100_000 });
    const conflicts: unknown[] = [];
    autosave.on("conflict", (conflict) => conflicts.push(conflict));
    autosave.markDirty("q", { n: "local" }, { revision: 1 });
    write(story(temp, "q"), JSON.stringify(outside));
    expect(await autosave.saveNow("q")).toBe(false);
    expect(conflicts).toEqual([{ id: "q", local: { n: "local" }, remote: outside, remoteRevision: 2 }]);
    expect(await service.loadStory("q")).toEqual(outside);
    autosave.stop();
  });

  test("is kept when it is deleted, tagged, reverted or copied over", async () => {
    const changes: Record<string, (service: StoryService) => Promise<unknown>> = {
      delete: (service) => service.deleteStory("q"),
      tag: (service) => service.updateMetadata("q", { tags: ["x"] }),
      revert: (service) => service.revert("q", 1),
      batch: (service) => service.batchSave({ q: { n: 3 }, r: {} }),
    };
    for (const [name, change] of Object.entries(changes)) {
      await using temp = await edited();
      await change(temp.service);
      expect(await temp.service.loadRevision("q", 2), name).toEqual(outside);
      expect(await temp.service.loadRevision("q", 1), name).toEqual(mine);
    }
  });
});

test("an outside change at the moment of a save is noticed by the next save, even with the same size and time", async () => {
  await using temp = await tempStories("filesystem");
  const { service } = temp;
  const random = seededRandom("outside changes");
  for (let n = 1; n <= 30; n++) {
    const { revision } = await service.saveStory("q", { n: 100 + n });
    if (random.below(2) === 0) await service.loadStory("q");
    const { atime, mtime } = statSync(story(temp, "q"));
    writeFileSync(story(temp, "q"), JSON.stringify({ n: 500 + n }));
    utimesSync(story(temp, "q"), atime, mtime);
    if (random.below(2) === 0) expect(await service.loadStory("q")).toEqual({ n: 500 + n });
    const error = await rejection(service.saveStory("q", {}, { expectedRevision: revision }));
    expect(error).toMatchObject({ code: "CONFLICT", actualRevision: revision + 1 });
    expect(await service.loadRevision("q", revision)).toEqual({ n: 100 + n });
    expect(await service.loadRevision("q", revision + 1)).toEqual({ n: 500 + n });
  }
});

test("a listing shows what other programs have changed, the newest first", async () => {
  await using temp = await tempStories("filesystem");
  const { service } = temp;
  await service.batchSave({ a: { title: "A" }, b: { title: "B" } });
  writeFileSync(story(temp, "a"), '{"title":"A, edited"}');
  expect(await service.listStories()).toMatchObject([{ id: "a", title: "A, edited", revision: 2 }, { id: "b" }]);
  expect(await service.getStatistics()).toMatchObject({ totalSizeBytes: 21 + 13 });
});

test("a file with only a new time is not a change, and is read once for all processes", async () => {
  await using temp = await tempStories("filesystem");
  await temp.service.batchSave({ a: { n: 1 }, b: { n: 2 } });
  for (const name of ["a", "b"]) {
    copyFileSync(story(temp, name), `${story(temp, name)}.new`);
    renameSync(`${story(temp, name)}.new`, story(temp, name));
    utimesSync(story(temp, name), new Date(), new Date(1_000_000_000_000));
  }
  expect(await temp.service.listStories()).toMatchObject([{ revision: 1 }, { revision: 1 }]);
  const index = readdirSync(temp.path).find((name) => name.startsWith(".index"))!;
  const size = statSync(join(temp.path, index)).size;
  const other = await temp.openAnother();
  expect(await other.listStories()).toHaveLength(2);
  expect(statSync(join(temp.path, index)).size).toBe(size);
});

describe("a file that is dropped in", () => {
  test("is a story from the next listing on", async () => {
    await using temp = await tempStories("filesystem");
    writeFileSync(story(temp, "new"), '{"title":"Dropped"}');
    const [listed] = await temp.service.listStories();
    expect(listed).toMatchObject({ id: "new", title: "Dropped", revision: 1, tags: [] });
    expect(await temp.service.revisions("new")).toMatchObject([{ revision: 1, source: "outside" }]);
    expect(await temp.service.loadRevision("new", 1)).toEqual({ title: "Dropped" });
    expect(await (await temp.openAnother()).loadStory("new")).toEqual({ title: "Dropped" });
  });

  test("is a story from the next load on, and is not overwritten by a save that expects none", async () => {
    await using temp = await tempStories("filesystem");
    for (const name of ["a", "b"]) writeFileSync(story(temp, name), `{"of":"${name}"}`);
    expect(await temp.service.loadStory("a")).toEqual({ of: "a" });
    const error = await rejection(temp.service.saveStory("b", {}, { expectedRevision: 0 }));
    expect(error).toMatchObject({ code: "CONFLICT", actualRevision: 1 });
    expect(await temp.service.hasStory("b")).toBe(true);
  });

  test("by an editor on Windows may begin with a byte order mark", async () => {
    await using temp = await tempStories("filesystem");
    writeFileSync(story(temp, "marked"), '\u{FEFF}{"title":"Marked"}');
    expect(await temp.service.loadStory("marked")).toEqual({ title: "Marked" });
    expect(await temp.service.saveStory("marked", {}, { expectedRevision: 1 })).toMatchObject({ revision: 2 });
    expect(await temp.service.loadRevision("marked", 1)).toEqual({ title: "Marked" });
  });

  test("and is not JSON is reported once and left alone", async () => {
    await using temp = await tempStories("filesystem");
    const { service } = temp;
    await service.saveStory("good", {});
    const texts = { junk: "{not json", list: "[1]", "NOT A NAME": '{"id":"x"}' };
    for (const [name, text] of Object.entries(texts)) writeFileSync(story(temp, name), text);
    mkdirSync(story(temp, "folder"));
    // There are no listeners yet.
    expect(await service.listStories()).toHaveLength(1);
    const problems = problemsOf(service);
    for (let n = 0; n < 3; n++) expect(await service.listStories()).toHaveLength(1);
    expect(await service.loadStory("junk")).toBeUndefined();
    await delivered();
    expect(problems.map(({ key }) => key).sort()).toEqual(["folder", "junk", "list", undefined]);
    for (const { error } of problems) expect(String(error)).toContain(join(temp.path, "stories"));
    for (const [name, text] of Object.entries(texts)) expect(readFileSync(story(temp, name), "utf8")).toBe(text);
    writeFileSync(story(temp, "junk"), '{"now":"json"}');
    expect(await service.loadStory("junk")).toEqual({ now: "json" });
  });

  test("and is not JSON is kept next to the story that is saved in its place", async () => {
    await using temp = await tempStories("filesystem");
    writeFileSync(story(temp, "junk"), "{not json");
    expect(await temp.service.saveStory("junk", { n: 1 })).toMatchObject({ revision: 1 });
    const [kept, ...rest] = await temp.service.conflicts();
    expect(rest).toEqual([]);
    expect(kept).toMatchObject({ id: "junk", source: "holdfast", size: 9 });
    expect(readFileSync(kept!.path, "utf8")).toBe("{not json");
    expect(await temp.service.listStories()).toHaveLength(1);
  });
});

describe("a known story whose file is no longer JSON", () => {
  async function damaged() {
    const temp = await tempStories("filesystem");
    await temp.service.saveStory("q", { n: 1 });
    await temp.service.saveStory("q", { n: 2 });
    await temp.service.loadStory("q");
    writeFileSync(story(temp, "q"), '<<<<<<< HEAD\n{"n":3}\n=======\n');
    return temp;
  }

  test("is CORRUPT, with its path, is reported, and its history stays", async () => {
    await using temp = await damaged();
    const { service } = temp;
    const problems = problemsOf(service);
    const error = await rejection(service.loadStory("q"));
    expect(error).toMatchObject({ code: "CORRUPT" });
    expect(error.message).toContain(story(temp, "q"));
    expect(await rejection(service.loadStory("q", { skipCache: true }))).toMatchObject({ code: "CORRUPT" });
    await service.listStories();
    await delivered();
    expect(problems.map(({ key }) => key)).toContain("q");
    expect(readFileSync(story(temp, "q"), "utf8")).toContain("<<<<<<<");
    expect(await service.revisions("q")).toHaveLength(2);
    expect(await service.loadRevision("q", 1)).toEqual({ n: 1 });
    expect(await service.loadRevision("q", 2)).toEqual({ n: 2 });
  });

  test("is not overwritten by a conditional save, and kept next to the story by another save", async () => {
    await using temp = await damaged();
    const { service } = temp;
    expect(await rejection(service.saveStory("q", {}, { expectedRevision: 2 }))).toMatchObject({ code: "CORRUPT" });
    expect(await service.revert("q", 2)).toMatchObject({ revision: 3 });
    expect(await service.loadStory("q")).toEqual({ n: 2 });
    const [kept] = await service.conflicts();
    expect(readFileSync(kept!.path, "utf8")).toContain("<<<<<<<");
  });

  test("can be deleted and restored", async () => {
    await using temp = await damaged();
    expect(await temp.service.deleteStory("q")).toBe(true);
    expect(await temp.service.conflicts()).toHaveLength(1);
    await temp.service.restore("q");
    expect(await temp.service.loadStory("q")).toEqual({ n: 2 });
  });

  test("can be loaded again after it is corrected", async () => {
    await using temp = await damaged();
    await rejection(temp.service.loadStory("q"));
    writeFileSync(story(temp, "q"), '{"n":3}');
    expect(await temp.service.loadStory("q")).toEqual({ n: 3 });
    expect(await temp.service.revisions("q")).toMatchObject([{ revision: 3, source: "outside" }, {}, {}]);
  });
});

describe("a file that is not UTF-8", () => {
  const bytes = Buffer.from('{"title":"r\u00e9sum\u00e9"}', "latin1");

  async function recoded() {
    const temp = await tempStories("filesystem");
    await temp.service.saveStory("l", { title: "a" });
    writeFileSync(story(temp, "l"), bytes);
    return temp;
  }

  test("of a known story is CORRUPT, with its path, is reported once, and is left alone", async () => {
    await using temp = await recoded();
    const { service } = temp;
    const problems = problemsOf(service);
    for (let n = 0; n < 3; n++) expect(await service.listStories()).toMatchObject([{ id: "l", revision: 1 }]);
    for (const options of [{}, { skipCache: true }]) {
      const error = await rejection(service.loadStory("l", options));
      expect(error).toMatchObject({ code: "CORRUPT" });
      expect(error.message).toContain(`${story(temp, "l")} is not a story: it is not UTF-8`);
    }
    expect(await rejection(service.saveStory("l", {}, { expectedRevision: 1 }))).toMatchObject({ code: "CORRUPT" });
    await delivered();
    expect(problems.filter(({ operation }) => operation === "outside")).toMatchObject([{ key: "l" }]);
    expect(readFileSync(story(temp, "l"))).toEqual(bytes);
    expect(await service.loadRevision("l", 1)).toEqual({ title: "a" });
  });

  test("keeps its bytes when the story is saved, reverted or deleted", async () => {
    const changes: Record<string, (service: StoryService) => Promise<unknown>> = {
      save: (service) => service.saveStory("l", { title: "new" }),
      revert: (service) => service.revert("l", 1),
      delete: (service) => service.deleteStory("l"),
    };
    for (const [name, change] of Object.entries(changes)) {
      await using temp = await recoded();
      await rejection(temp.service.loadStory("l"));
      await change(temp.service);
      const [kept, ...rest] = await temp.service.conflicts();
      expect(rest, name).toEqual([]);
      expect(kept, name).toMatchObject({ id: "l", source: "holdfast", size: bytes.length });
      expect(readFileSync(kept!.path), name).toEqual(bytes);
      expect(await temp.service.loadRevision("l", 1), name).toEqual({ title: "a" });
    }
  });

  test("is not mistaken for the stored text with U+FFFD in the place of these bytes", async () => {
    await using temp = await tempStories("filesystem");
    await temp.service.saveStory("l", { title: "r\u{FFFD}sum\u{FFFD}" });
    writeFileSync(story(temp, "l"), bytes);
    expect(await rejection(temp.service.loadStory("l"))).toMatchObject({ code: "CORRUPT" });
    await temp.service.saveStory("l", {});
    expect(readFileSync((await temp.service.conflicts())[0]!.path)).toEqual(bytes);
  });

  test("is not a story if it is dropped in, and keeps its bytes when a story is saved in its place", async () => {
    await using temp = await tempStories("filesystem");
    const { service } = temp;
    writeFileSync(story(temp, "new"), bytes);
    const problems = problemsOf(service);
    expect(await service.listStories()).toEqual([]);
    expect(await service.loadStory("new")).toBeUndefined();
    await delivered();
    expect(problems).toMatchObject([{ key: "new", error: { code: "CORRUPT" } }]);
    expect(readFileSync(story(temp, "new"))).toEqual(bytes);
    await service.saveStory("new", {});
    expect(readFileSync((await service.conflicts())[0]!.path)).toEqual(bytes);
  });

  test("is not taken in when the index and the metadata are rebuilt, and a revision keeps its number", async () => {
    await using temp = await recoded();
    await temp.service.saveStory("r", { n: 1 });
    await temp.service.saveStory("r", { n: 2 });
    await temp.service.saveStory("r", { n: 3 });
    const revision = join(temp.path, "revisions", "r", "1.json");
    rmSync(revision);
    writeFileSync(revision, bytes);
    rmSync(join(temp.path, ".index.jsonl"));
    rmSync(join(temp.path, "metadata", "l.meta.json"));
    rmSync(join(temp.path, "metadata", "r.meta.json"));
    const other = await temp.openAnother();
    expect(await other.listStories()).toMatchObject([{ id: "r", revision: 3 }]);
    expect(await other.loadStory("r")).toEqual({ n: 3 });
    expect(await rejection(other.loadRevision("r", 1))).toMatchObject({ code: "CORRUPT" });
    await other.saveStory("r", { n: 4 });
    await other.saveStory("l", { n: 4 });
    expect(readFileSync(revision)).toEqual(bytes);
    expect(readFileSync((await other.conflicts())[0]!.path)).toEqual(bytes);
  });

  test("of more than a few hundred kilobytes is refused too", async () => {
    await using temp = await recoded();
    const large = Buffer.concat([Buffer.from('{"title":"'), Buffer.alloc(300_000, 0xe9), Buffer.from('"}')]);
    writeFileSync(story(temp, "l"), large);
    expect(await rejection(temp.service.loadStory("l"))).toMatchObject({ code: "CORRUPT" });
    expect(readFileSync(story(temp, "l"))).toEqual(large);
  });
});

test("a removed file is CORRUPT and not a delete; the story comes back with its file or by a revert", async () => {
  await using temp = await tempStories("filesystem");
  const { service } = temp;
  await service.saveStory("q", { n: 1 }, { metadata: { tags: ["x"] } });
  const text = readFileSync(story(temp, "q"));
  rmSync(story(temp, "q"));
  const problems = problemsOf(service);
  expect(await service.listStories()).toMatchObject([{ id: "q" }]);
  await delivered();
  expect(problems).toMatchObject([{ key: "q", error: { code: "CORRUPT" } }]);
  expect(await rejection(service.loadStory("q"))).toMatchObject({ code: "CORRUPT" });
  writeFileSync(story(temp, "q"), text);
  expect(await service.loadStory("q")).toEqual({ n: 1 });
  expect(await service.getMetadata("q")).toMatchObject({ revision: 1, tags: ["x"] });
  rmSync(story(temp, "q"));
  expect(await service.revert("q", 1)).toMatchObject({ revision: 2, tags: ["x"] });
  rmSync(story(temp, "q"));
  expect(await service.deleteStory("q")).toBe(true);
  expect(await service.listStories()).toEqual([]);
  writeFileSync(story(temp, "q"), text);
  expect(await service.getMetadata("q"), "a deleted story that is there again as it was").toMatchObject({
    revision: 3,
    tags: ["x"],
  });
});

test("a root that a sync service updates as a whole equals the root on the other machine", async () => {
  await using one = await tempStories("filesystem");
  await using two = await tempStories("filesystem");
  const sync = () => {
    for (const folder of ["stories", "metadata", "revisions"]) {
      rmSync(join(two.path, folder), { recursive: true });
      mkdirSync(join(two.path, folder));
      for (const file of readdirSync(join(one.path, folder), { recursive: true, withFileTypes: true })) {
        const from = join(file.parentPath, file.name);
        const to = join(two.path, from.slice(one.path.length));
        if (file.isDirectory()) mkdirSync(to, { recursive: true });
        else {
          mkdirSync(join(to, ".."), { recursive: true });
          copyFileSync(from, to);
        }
      }
    }
  };
  await one.service.batchSave({ a: { n: 1 }, b: { n: 1 }, c: { n: 1 } });
  sync();
  expect(await two.service.listStories()).toHaveLength(3);
  await one.service.saveStory("a", { n: 2 }, { metadata: { tags: ["x"] } });
  await one.service.deleteStory("b");
  sync();
  const facts = async ({ service }: TempStories) =>
    (await service.listStories())
      .map(({ id, revision, tags }) => ({ id, revision, tags }))
      .sort((p, q) => p.id.localeCompare(q.id));
  expect(await facts(two)).toEqual(await facts(one));
  expect(await two.service.loadStory("a")).toEqual({ n: 2 });
  expect(await two.service.loadRevision("a", 1)).toEqual({ n: 1 });
  expect(await two.service.hasStory("b")).toBe(false);
});

test("a file that is replaced just before a save is kept next to the story", async () => {
  await using temp = await tempStories("filesystem");
  await temp.service.saveStory("a", { n: 1 });
  const { ino, size, mtimeMs } = statSync(story(temp, "a"));
  // The save was decided on the file as it was; then another program replaced it, and the save goes on.
  const index = readFileSync(join(temp.path, ".index.jsonl"));
  await temp.service.saveStory("a", { n: 2 });
  await temp.service.close();
  const journal = {
    keeps: [],
    moves: [{ from: ".tmp/1", to: "stories/a.json" }],
    removes: [],
    found: { "stories/a.json": [ino, size, mtimeMs] },
    aside: "20261130-101500-000-abcdef01",
    indexLines: readFileSync(join(temp.path, ".index.jsonl"), "utf8").slice(index.length),
  };
  renameSync(story(temp, "a"), join(temp.path, ".tmp/1"));
  writeFileSync(story(temp, "a"), '{"n":"outside"}');
  writeFileSync(join(temp.path, ".journal.json"), JSON.stringify(journal));
  const service = await temp.openAnother();
  expect(await service.loadStory("a")).toEqual({ n: 2 });
  const [kept, ...rest] = await service.conflicts();
  expect(rest).toEqual([]);
  expect(kept).toMatchObject({ id: "a", source: "holdfast" });
  expect(readFileSync(kept!.path, "utf8")).toBe('{"n":"outside"}');
});

test("copies by sync services and version control are listed with their story", async () => {
  await using temp = await tempStories("filesystem");
  await temp.service.batchSave({ q: {}, "my-quest": {} });
  const copies: [string, string, string][] = [
    ["q (Ann's conflicted copy 2026-11-30).json", "q", "dropbox"],
    ["q (conflicted copy 2026-11-30 101500).json", "q", "dropbox"],
    ["q (Case Conflict).json", "q", "dropbox"],
    ["q-DESKTOP-7F3K.json", "q", "onedrive"],
    ["my-quest-Anns-MacBook.json", "my-quest", "onedrive"],
    ["q.sync-conflict-20261130-101500-ABCDEF7.json", "q", "syncthing"],
    ["q_conflict-20261130-101500.json", "q", "nextcloud"],
    ["q (1).json", "q", "google-drive"],
    ["q 2.json", "q", "icloud"],
    ["q.json.orig", "q", "git"],
    ["q.json~HEAD", "q", "git"],
    ["q_LOCAL_4711.json", "q", "git"],
    ["q_REMOTE_4711.json", "q", "git"],
  ];
  for (const [name] of copies) writeFileSync(join(temp.path, "stories", name), "{}");
  const problems = problemsOf(temp.service);
  expect(await temp.service.listStories(), "none of them is a story").toHaveLength(2);
  const found = await temp.service.conflicts();
  expect(found.map(({ name, id, source }) => [name, id, source]).sort()).toEqual(copies.sort());
  expect(await temp.service.backend.conflicts()).toEqual(found);
  for (const { path, modifiedAt } of found) {
    expect(existsSync(path)).toBe(true);
    expect(modifiedAt).toBeInstanceOf(Date);
  }
  await delivered();
  expect(problems).toEqual([]);
  await using other = await tempStories("libsql");
  expect(await other.service.conflicts()).toEqual([]);
});

test("while another process saves and another program edits, each text is current or in the history", async () => {
  await using temp = await tempStories("filesystem", { historyLimit: 1000 });
  const { service } = temp;
  const random = seededRandom("edits from outside");
  await service.saveStory("shared", { lines: [] });
  const saving = runChild("story-saver", {
    backend: "filesystem",
    path: temp.path,
    name: "one",
    count: 20,
    historyLimit: 1000,
  });
  const written: string[] = [];
  let isDone = false;
  void saving.finally(() => {
    isDone = true;
  });
  while (!isDone) {
    const text = JSON.stringify({ outside: random.below(2 ** 31), lines: [] });
    WRITERS[random.pick(["in place", "by a rename"])]!(story(temp, "edited"), text);
    written.push(text);
    // Each is looked at before the next: a text that no one has seen is lost with the file that held it.
    expect(await service.loadStory("edited")).toEqual(JSON.parse(text));
  }
  await saving;
  const kept = new Set<string>();
  for (const { revision } of await service.revisions("edited")) {
    kept.add(JSON.stringify(await service.loadRevision("edited", revision)));
  }
  for (const text of written) expect(kept).toContain(text);
});
