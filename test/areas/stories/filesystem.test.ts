import { execFile } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { openStories, type StoryService } from "holdfast/stories";
import { describe, expect, test } from "vitest";
import { fromFileName, toFileName } from "../../../src/areas/stories/filesystem/names.js";
import { HOSTILE_IDS } from "../../../src/areas/stories/testing/support.js";
import { rejection } from "../../support/clients.js";
import { seededRandom } from "../../support/random.js";
import { delivered, tempStories } from "../../support/stories.js";

/** All files below a folder, as paths from it. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

async function fill(service: StoryService): Promise<void> {
  await service.saveStory("a", { title: "A", n: 1 }, { metadata: { tags: ["x"] } });
  await service.saveStory("a", { title: "A", n: 2 });
  await service.saveStory("../b", { n: 3 });
  await service.updateMetadata("../b", { title: "Set" });
  await service.saveStory("gone", { n: 4 });
  await service.deleteStory("gone");
}

describe("file names", () => {
  test("distinct ids have distinct names, even if the file system ignores case and normalizes Unicode", () => {
    const random = seededRandom("names");
    const alphabet = ["a", "A", "é", "e\u0301", "/", "\\", ".", " ", "%", "2", "f", "😀", "~", "ſ", "s", "\u212a", "k"];
    const ids = new Set(HOSTILE_IDS);
    for (let n = 0; n < 5_000; n++) {
      ids.add(Array.from({ length: 1 + random.below(n % 10 === 0 ? 200 : 5) }, () => random.pick(alphabet)).join(""));
    }
    const names = new Map([...ids].map((id) => [toFileName(id).normalize("NFD").toLowerCase(), id]));
    expect(names.size).toBe(ids.size);
    for (const [folded, id] of names) {
      const name = toFileName(id);
      expect(name).toBe(folded);
      expect(name).toMatch(/^[a-z0-9_%~-]+$/);
      expect(name.length).toBeLessThanOrEqual(200);
      expect(name).not.toMatch(/^(con|prn|aux|nul|com\d|lpt\d)$/);
      if (!name.includes("~")) expect(fromFileName(name)).toBe(id);
    }
  });

  test("a foreign name has no id", () => {
    for (const name of ["A", "a.b", "%zz", "%ff", "é", "con", "%2F"]) expect(fromFileName(name)).toBeUndefined();
  });
});

test("stories are readable files below the root and nowhere else", async () => {
  await using temp = await tempStories("filesystem");
  await fill(temp.service);
  expect(JSON.parse(readFileSync(join(temp.path, "stories/a.json"), "utf8"))).toEqual({ title: "A", n: 2 });
  expect(JSON.parse(readFileSync(join(temp.path, "revisions/a/1.json"), "utf8"))).toEqual({ title: "A", n: 1 });
  expect(JSON.parse(readFileSync(join(temp.path, "metadata/a.meta.json"), "utf8"))).toMatchObject({
    id: "a",
    title: "A",
    tags: ["x"],
  });
  await temp.service.close();
  expect(filesIn(temp.path).sort()).toEqual(
    [
      ".index.jsonl",
      "metadata/%2e%2e%2fb.meta.json",
      "metadata/%2e%2e%2fb.text.json",
      "metadata/a.meta.json",
      "metadata/a.text.json",
      "metadata/gone.meta.json",
      "revisions/%2e%2e%2fb/1.json",
      "revisions/a/1.json",
      "revisions/gone/1.json",
      "stories/%2e%2e%2fb.json",
      "stories/a.json",
    ].sort(),
  );
  expect(readdirSync(temp.dir)).toEqual(["stories"]);
  expect(statSync(join(temp.path, "stories/a.json")).mode & 0o077).toBe(0);
});

describe("the index", () => {
  const damages: Record<string, (index: string) => void> = {
    "is missing": (index) => rmSync(index),
    "is empty": (index) => truncateSync(index),
    "is cut": (index) => truncateSync(index, statSync(index).size - 7),
    "is junk": (index) => writeFileSync(index, "{junk"),
    "has a torn line": (index) => appendFileSync(index, '["0000'),
    "has a line with a wrong checksum": (index) =>
      writeFileSync(index, readFileSync(index, "utf8").replace('"title":"A"', '"title":"B"')),
    "is a folder's link": (index) => {
      rmSync(index);
      symlinkSync("/etc/passwd", index);
    },
  };

  test.each(Object.entries(damages))(
    "that %s is rebuilt by a service that is open and by one that opens",
    async (_, damage) => {
      await using temp = await tempStories("filesystem");
      await fill(temp.service);
      const before = await temp.service.listStories();
      damage(join(temp.path, ".index.jsonl"));
      expect(await temp.service.listStories()).toEqual(before);
      damage(join(temp.path, ".index.jsonl"));
      const other = await temp.openAnother();
      expect(await other.listStories()).toEqual(before);
      expect(await other.saveStory("new", {})).toMatchObject({ revision: 1 });
      expect(await temp.service.listStories({ limit: 1 })).toMatchObject([{ id: "new" }]);
      expect(readFileSync("/etc/passwd", "utf8")).not.toContain("title");
    },
  );

  test("stays small no matter how often one story is saved", async () => {
    await using temp = await tempStories("filesystem");
    const text = { n: 0 };
    const { service } = temp;
    for (let n = 0; n < 12; n++) {
      await service.batchSave(Object.fromEntries(Array.from({ length: 100 }, (_, k) => [`s${k}`, { ...text, n, k }])));
    }
    const lines = readFileSync(join(temp.path, ".index.jsonl"), "utf8").trim().split("\n").length;
    expect(lines).toBeLessThanOrEqual(1_201);
    await service.batchSave(Object.fromEntries(Array.from({ length: 100 }, (_, k) => [`s${k}`, { k }])));
    expect(readFileSync(join(temp.path, ".index.jsonl"), "utf8").trim().split("\n").length).toBeLessThan(250);
    expect(await (await temp.openAnother()).listStories()).toEqual(await service.listStories());
  });

  test("continues its count after clear and after a loss, so that new changes are never mistaken for old ones", async () => {
    await using temp = await tempStories("filesystem");
    const other = await temp.openAnother();
    await temp.service.saveStory("a", { n: 1 });
    expect(await other.loadStory("a")).toEqual({ n: 1 });
    await temp.service.clear();
    rmSync(join(temp.path, ".index.jsonl"));
    await temp.service.saveStory("a", { n: 2 });
    expect(await other.loadStory("a")).toEqual({ n: 2 });
  });
});

describe("damage", () => {
  test("lost or damaged metadata is rebuilt from story and revisions", async () => {
    await using temp = await tempStories("filesystem");
    await fill(temp.service);
    rmSync(join(temp.path, "metadata"), { recursive: true });
    mkdirSync(join(temp.path, "metadata"));
    rmSync(join(temp.path, ".index.jsonl"));
    const other = await temp.openAnother();
    expect((await other.listStories()).map(({ id, title }) => [id, title]).sort()).toEqual([
      ["../b", "Untitled"],
      ["a", "A"],
    ]);
    expect(await other.loadStory("a")).toEqual({ title: "A", n: 2 });
    expect(await other.revisions("a")).toHaveLength(2);
    expect(await other.saveStory("a", { n: 5 })).toMatchObject({ revision: 3 });
    writeFileSync(join(temp.path, "metadata/a.meta.json"), "{");
    rmSync(join(temp.path, ".index.jsonl"));
    expect(await (await temp.openAnother()).loadStory("a")).toEqual({ n: 5 });
  });

  test("a story put into the folder by hand is taken in with the index", async () => {
    await using temp = await tempStories("filesystem");
    writeFileSync(join(temp.path, "stories/hand.json"), '{"title":"By hand"}');
    writeFileSync(join(temp.path, "stories/NOT OURS.json"), '{"id":"no"}');
    writeFileSync(join(temp.path, "stories/junk.json"), "[1]");
    rmSync(join(temp.path, ".index.jsonl"));
    expect(await temp.service.listStories()).toMatchObject([{ id: "hand", title: "By hand", revision: 1 }]);
    expect(await temp.service.loadStory("hand")).toEqual({ title: "By hand" });
  });

  test("a story file that is no longer JSON is CORRUPT and left as it is; a revert repairs it", async () => {
    await using temp = await tempStories("filesystem", { cacheSize: 0 });
    await fill(temp.service);
    const file = join(temp.path, "stories/a.json");
    writeFileSync(file, '{"title":"edited"');
    expect(await rejection(temp.service.loadStory("a"))).toMatchObject({ code: "CORRUPT" });
    expect(readFileSync(file, "utf8")).toBe('{"title":"edited"');
    await temp.service.revert("a", 1);
    expect(await temp.service.loadStory("a")).toEqual({ title: "A", n: 1 });
    rmSync(file);
    expect(await rejection(temp.service.loadStory("a"))).toMatchObject({ code: "CORRUPT" });
  });

  test("a revision file that is not what was saved is CORRUPT", async () => {
    await using temp = await tempStories("filesystem");
    await fill(temp.service);
    writeFileSync(join(temp.path, "revisions/a/1.json"), "{}");
    expect(await rejection(temp.service.loadRevision("a", 1))).toMatchObject({ code: "CORRUPT" });
    expect(await temp.service.loadStory("a")).toEqual({ title: "A", n: 2 });
  });

  test("restore of a story whose last revision is not what was saved is CORRUPT, and the story stays deleted", async () => {
    await using temp = await tempStories("filesystem");
    await fill(temp.service);
    await temp.service.deleteStory("a");
    const file = join(temp.path, "revisions/a/2.json");
    const saved = readFileSync(file);
    writeFileSync(file, "{}");
    const error = await rejection(temp.service.restore("a"));
    expect(error).toMatchObject({ code: "CORRUPT", message: expect.stringContaining("Revision 2") });
    expect(await temp.service.hasStory("a")).toBe(false);
    expect(readFileSync(file, "utf8")).toBe("{}");
    writeFileSync(file, saved);
    await temp.service.restore("a");
    expect(await temp.service.loadStory("a")).toEqual({ title: "A", n: 2 });
  });
});

describe("a change that was decided and not finished", () => {
  /** The root as a process leaves it that is killed right after the decision, and what the change was to do. */
  async function interrupted(path: string): Promise<void> {
    const service = await openStories({ backend: "filesystem", path });
    await service.saveStory("a", { n: 1 }, { metadata: { tags: ["old"] } });
    const before = {
      story: readFileSync(join(path, "stories/a.json")),
      meta: readFileSync(join(path, "metadata/a.meta.json")),
    };
    const index = readFileSync(join(path, ".index.jsonl"), "utf8");
    await service.saveStory("a", { n: 2 }, { metadata: { tags: ["new"] } });
    await service.close();
    // Back to the moment of the decision, from what came of it.
    renameSync(join(path, "stories/a.json"), join(path, ".tmp/1"));
    renameSync(join(path, "metadata/a.meta.json"), join(path, ".tmp/2"));
    rmSync(join(path, "revisions/a/1.json"));
    writeFileSync(join(path, "stories/a.json"), before.story);
    writeFileSync(join(path, "metadata/a.meta.json"), before.meta);
    const indexLines = readFileSync(join(path, ".index.jsonl"), "utf8").slice(index.length);
    writeFileSync(join(path, ".index.jsonl"), index);
    const journal = {
      keeps: [{ from: "stories/a.json", to: "revisions/a/1.json" }],
      moves: [
        { from: ".tmp/1", to: "stories/a.json" },
        { from: ".tmp/2", to: "metadata/a.meta.json" },
      ],
      removes: [],
      indexLines,
    };
    writeFileSync(join(path, ".journal.json"), JSON.stringify(journal));
  }

  /** Steps of finishing it that the process had still done. */
  const steps: ((path: string) => void)[] = [
    () => undefined,
    (path) => writeFileSync(join(path, "revisions/a/1.json"), readFileSync(join(path, "stories/a.json"))),
    (path) => renameSync(join(path, ".tmp/1"), join(path, "stories/a.json")),
    (path) => renameSync(join(path, ".tmp/2"), join(path, "metadata/a.meta.json")),
    (path) =>
      appendFileSync(
        join(path, ".index.jsonl"),
        JSON.parse(readFileSync(join(path, ".journal.json"), "utf8")).indexLines,
      ),
  ];

  test.each(steps.map((_, n) => [n]))("is finished at the next start, with %i steps done before", async (count) => {
    await using temp = await tempStories("filesystem");
    const path = join(temp.dir, "other");
    await interrupted(path);
    for (const step of steps.slice(0, count + 1)) step(path);
    const service = await openStories({ backend: "filesystem", path });
    expect(await service.loadStory("a")).toEqual({ n: 2 });
    expect(await service.loadRevision("a", 1)).toEqual({ n: 1 });
    expect(await service.listStories()).toMatchObject([{ id: "a", tags: ["new"], revision: 2 }]);
    await service.close();
    expect(existsSync(join(path, ".journal.json"))).toBe(false);
    expect(readdirSync(join(path, ".tmp"))).toEqual([]);
  });

  test("is finished by another open process at its next write or when it finds the unfinished change", async () => {
    await using temp = await tempStories("filesystem");
    const path = join(temp.dir, "other");
    await openStories({ backend: "filesystem", path }).then((first) => first.close());
    const service = await openStories({ backend: "filesystem", path });
    await interrupted(path);
    for (const step of steps.slice(1, 3)) step(path);
    expect(await service.loadStory("a")).toEqual({ n: 2 });
    expect(await service.getMetadata("a")).toMatchObject({ revision: 2, tags: ["new"] });
    await service.close();
  });

  test("a journal that names files outside is put aside and ignored", async () => {
    await using temp = await tempStories("filesystem");
    await fill(temp.service);
    const outside = join(temp.dir, "precious");
    writeFileSync(outside, "precious");
    for (const path of [
      "../precious",
      "stories/../../precious",
      "/etc/passwd",
      "stories",
      "stories/..",
      ".index.jsonl",
    ]) {
      const journal = { keeps: [], moves: [], removes: [path], indexLines: "" };
      writeFileSync(join(temp.path, ".journal.json"), JSON.stringify(journal));
      await temp.service.saveStory("a", { path });
      expect(readFileSync(outside, "utf8")).toBe("precious");
      expect(await temp.service.loadStory("a", { skipCache: true })).toEqual({ path });
    }
    expect(await temp.service.listStories()).toHaveLength(2);
  });
});

describe("a folder in the place of a file", () => {
  const places = ["stories/x.json", "metadata/x.meta.json", "metadata/x.text.json", "revisions/x/1.json"];

  test.each(places)("at %s rejects saves of that story alone, and nothing is written", async (place) => {
    await using temp = await tempStories("filesystem");
    const { service, path } = temp;
    await service.saveStory("other", { n: 1 });
    if (place.startsWith("revisions")) await service.saveStory("x", { n: 1 });
    mkdirSync(join(path, place), { recursive: true });
    writeFileSync(join(path, place, "precious"), "precious");
    const before = filesIn(path);
    for (let n = 0; n < 2; n++) {
      const error = await rejection(service.saveStory("x", { title: "x" }));
      expect(error).toMatchObject({ code: "CANNOT_OPEN", outcome: undefined });
      expect(error.message).toContain(`${join(path, place)} is a folder in the place of a file: move it away`);
    }
    const error = await rejection(service.batchSave({ ok: {}, x: {} }, { atomic: true }));
    expect(error).toMatchObject({ code: "CANNOT_OPEN" });
    expect(filesIn(path)).toEqual(before);
    for (const one of [service, await temp.openAnother()]) {
      expect(await one.saveStory("ok", {})).toMatchObject({ id: "ok" });
      expect((await one.listStories()).map(({ id }) => id)).toContain("other");
      expect(await one.deleteStory("ok")).toBe(true);
    }
    rmSync(join(path, place), { recursive: true });
    await service.saveStory("x", { title: "x" });
    expect(await service.loadStory("x", { skipCache: true })).toEqual({ title: "x" });
    await service.clear();
    expect(await service.listStories()).toEqual([]);
  });

  test.each(places)("at %s does not keep other stories from being found without an index", async (place) => {
    await using temp = await tempStories("filesystem");
    const { path } = temp;
    await temp.service.batchSave({ a: { n: 1 }, x: { n: 1 } });
    await temp.service.saveStory("x", { n: 2 });
    rmSync(join(path, place));
    mkdirSync(join(path, place));
    for (const name of ["a", "b"]) writeFileSync(join(path, `stories/${name}.json`), '{"by":"hand"}');
    if (place !== "stories/x.json") writeFileSync(join(path, "stories/x.json"), '{"by":"hand"}');
    rmSync(join(path, ".index.jsonl"));
    const other = await temp.openAnother();
    const problems: unknown[] = [];
    other.on("storage_error", (problem) => problems.push(problem));
    for (let n = 0; n < 3; n++) {
      const found = await other.listStories();
      expect(found.filter(({ id }) => id !== "x")).toMatchObject([{ revision: expect.any(Number) }, {}]);
    }
    expect(await other.loadStory("a")).toEqual({ by: "hand" });
    await other.saveStory("a", { n: 3 });
    await delivered();
    if (!place.startsWith("revisions")) expect(problems).toMatchObject([{ key: "x" }]);
  });

  test.skipIf(process.platform !== "linux" || process.getuid?.() !== 0)(
    "or an immutable file there rejects changes of that story alone",
    async (context) => {
      for (const place of places.slice(0, 3)) {
        await using temp = await tempStories("filesystem");
        const { service, path } = temp;
        await service.saveStory("x", { n: 1 });
        await service.loadStory("x");
        const file = join(path, place);
        // Not every file system has this attribute.
        if (
          !(await promisify(execFile)("chattr", ["+i", file]).then(
            () => true,
            () => false,
          ))
        )
          return context.skip();
        try {
          for (const change of [() => service.saveStory("x", { n: 2 }), () => service.deleteStory("x")]) {
            const error = await rejection(change());
            expect(error, place).toMatchObject({ code: "CANNOT_OPEN", outcome: undefined });
            expect(error.message).toContain(file);
          }
          await service.saveStory("ok", {});
          const other = await temp.openAnother();
          expect(await other.loadStory("x")).toEqual({ n: 1 });
          expect(await other.listStories()).toHaveLength(2);
        } finally {
          await promisify(execFile)("chattr", ["-i", file]);
        }
        expect(await service.saveStory("x", { n: 2 })).toMatchObject({ revision: 2 });
      }
    },
  );

  test("is cleared with the stories", async () => {
    await using temp = await tempStories("filesystem");
    for (const place of places) mkdirSync(join(temp.path, place), { recursive: true });
    await temp.service.clear();
    expect(readdirSync(join(temp.path, "stories"))).toEqual([]);
    expect(await temp.service.saveStory("x", {})).toMatchObject({ revision: 1 });
  });
});

describe("symbolic links in the root", () => {
  test("instead of a folder are refused, and nothing is written to their targets", async () => {
    for (const folder of ["stories", "metadata", "revisions", "preferences", "queue", ".tmp"]) {
      await using temp = await tempStories("filesystem");
      await fill(temp.service);
      const outside = join(temp.dir, "outside");
      mkdirSync(outside);
      rmSync(join(temp.path, folder), { recursive: true });
      symlinkSync(outside, join(temp.path, folder));
      const open = () => openStories({ backend: "filesystem", path: temp.path });
      expect(await rejection(open()), folder).toMatchObject({ code: "CANNOT_OPEN" });
      expect(await rejection(temp.service.saveStory("a", { n: 9 })), folder).toMatchObject({ code: "CANNOT_OPEN" });
      expect(readdirSync(outside)).toEqual([]);
    }
  });

  test("instead of a story's revisions are refused too", async () => {
    await using temp = await tempStories("filesystem");
    const outside = join(temp.dir, "outside");
    mkdirSync(outside);
    await temp.service.saveStory("a", { n: 1 });
    symlinkSync(outside, join(temp.path, "revisions/a"));
    expect(await rejection(temp.service.saveStory("a", { n: 2 }))).toMatchObject({ code: "CANNOT_OPEN" });
    expect(readdirSync(outside)).toEqual([]);
    expect(await temp.service.loadStory("a")).toEqual({ n: 1 });
  });

  test("instead of a story's file are not read, and a save replaces them", async () => {
    await using temp = await tempStories("filesystem", { cacheSize: 0 });
    const outside = join(temp.dir, "outside.json");
    writeFileSync(outside, '{"secret":true}');
    await temp.service.saveStory("a", { n: 1 });
    await temp.service.backend.savePreference("p", { value: 1 });
    for (const file of ["stories/a.json", "preferences/p.json"]) {
      rmSync(join(temp.path, file));
      symlinkSync(outside, join(temp.path, file));
    }
    expect(await rejection(temp.service.loadStory("a"))).toMatchObject({ code: "CANNOT_OPEN" });
    expect(await rejection(temp.service.backend.loadPreference("p"))).toMatchObject({ code: "CANNOT_OPEN" });
    await temp.service.clear();
    expect(readFileSync(outside, "utf8")).toBe('{"secret":true}');
  });

  test("on the way to the root are the caller's choice", async () => {
    await using temp = await tempStories("filesystem");
    const link = join(temp.dir, "link");
    symlinkSync(temp.path, link);
    const service = await openStories({ backend: "filesystem", path: link });
    await service.saveStory("a", { n: 1 });
    await service.close();
    expect(await temp.service.loadStory("a")).toEqual({ n: 1 });
  });
});

test("hostile ids stay below the root", async () => {
  await using temp = await tempStories("filesystem");
  await temp.service.batchSave(Object.fromEntries(HOSTILE_IDS.map((id) => [id, { id }])), { atomic: true });
  for (const id of HOSTILE_IDS) await temp.service.saveStory(id, { id, again: true });
  expect(readdirSync(temp.dir)).toEqual(["stories"]);
  expect(readdirSync(join(temp.path, "stories"))).toHaveLength(new Set(HOSTILE_IDS).size);
  await temp.service.close();
  expect(readdirSync(temp.path).sort()).toEqual(
    [".index.jsonl", ".tmp", "metadata", "preferences", "queue", "revisions", "stories"].sort(),
  );
});

test.skipIf(process.platform === "win32")(
  "a disk that takes no more rejects with FULL, and leaves nothing behind",
  async () => {
    await using temp = await tempStories("filesystem");
    const path = join(temp.dir, "limited");
    const child = fileURLToPath(new URL("../../support/children/story-limit.mjs", import.meta.url));
    const command = 'ulimit -f 200 && exec "$0" "$@"';
    const { stdout } = await promisify(execFile)("bash", [
      "-c",
      command,
      process.execPath,
      child,
      JSON.stringify({ path }),
    ]);
    expect(JSON.parse(stdout)).toEqual({
      outcomes: ["FULL", "FULL", "FULL"],
      saved: 1,
      failed: ["large"],
      stories: { kept: { n: 1 }, small: { n: 1 } },
    });
    expect(readdirSync(join(path, ".tmp"))).toEqual([]);
    expect(readdirSync(join(path, "stories")).sort()).toEqual(["kept.json", "small.json"]);
  },
);

test("a root that is a file is refused and left as it is", async () => {
  await using temp = await tempStories("filesystem");
  const file = join(temp.dir, "file");
  writeFileSync(file, "text");
  expect(await rejection(openStories({ backend: "filesystem", path: file }))).toMatchObject({ code: "CANNOT_OPEN" });
  expect(readFileSync(file, "utf8")).toBe("text");
});
