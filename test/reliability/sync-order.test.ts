import { readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { openStorage, restore } from "holdfast";
import { openStories } from "holdfast/stories";
import { beforeEach, expect, test, vi } from "vitest";
import { tempStorage } from "../support/storage.js";
import { tempDatabase } from "../support/temp.js";

// A killed process loses none of its writes. Only a loss of power does, and a test cannot cause one. So this test
// checks the order of file system calls: writes that are not synced may be lost.

const seen = vi.hoisted(() => ({
  steps: [] as { readonly what: string; readonly path: string; readonly to?: string; readonly text?: string }[],
  paths: new Map<number, string>(),
}));

vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  const { steps, paths } = seen;
  const openSync = (path: string, ...rest: [number]) => {
    const descriptor = real.openSync(path, ...rest);
    paths.set(descriptor, path);
    return descriptor;
  };
  const writeSync = (descriptor: number, ...rest: [Buffer, number]) => {
    steps.push({ what: "write", path: paths.get(descriptor)! });
    return real.writeSync(descriptor, ...rest);
  };
  const fsync = (descriptor: number, done: (error: Error | null) => void) => {
    const path = paths.get(descriptor)!;
    real.fsync(descriptor, (error) => {
      steps.push({ what: "sync", path });
      done(error);
    });
  };
  const renameSync = (path: string, to: string) => {
    steps.push({ what: "rename", path, to, text: real.readFileSync(path, "utf8") });
    real.renameSync(path, to);
  };
  const mkdirSync = (path: string, options: { recursive: true }) => {
    const first = real.mkdirSync(path, options);
    if (first !== undefined) steps.push({ what: "mkdir", path });
    return first;
  };
  const linkSync = (path: string, to: string) => {
    real.linkSync(path, to);
    steps.push({ what: "link", path, to });
  };
  const fsyncSync = (descriptor: number) => {
    real.fsyncSync(descriptor);
    steps.push({ what: "sync", path: paths.get(descriptor)! });
  };
  const rmSync = (path: string, options: object) => {
    if (real.existsSync(path)) steps.push({ what: "rm", path });
    real.rmSync(path, options);
  };
  return { ...real, openSync, writeSync, fsync, fsyncSync, mkdirSync, linkSync, renameSync, rmSync };
});

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  const { steps } = seen;
  const open = async (path: string, ...rest: [string]) => {
    const file = await real.open(path, ...rest);
    const sync = file.sync.bind(file);
    file.sync = async () => {
      await sync();
      steps.push({ what: "sync", path });
    };
    return file;
  };
  const mkdir = async (path: string, options: { recursive: true }) => {
    const first = await real.mkdir(path, options);
    if (first !== undefined) steps.push({ what: "mkdir", path });
    return first;
  };
  const moved = (what: "rename" | "link") => async (path: string, to: string) => {
    await real[what](path, to);
    steps.push({ what, path, to });
  };
  return { ...real, open, mkdir, rename: moved("rename"), link: moved("link") };
});

beforeEach(() => {
  seen.steps.length = 0;
});

/** The index of the last step of a kind among all steps; -1 if there was none. */
function last(what: string, path: string): number {
  return seen.steps.findLastIndex((step) => step.what === what && (step.path === path || step.to === path));
}

test("a story's files and their names are on the disk before its journal takes effect and before the journal is removed", async () => {
  await using temp = await tempDatabase();
  const root = join(temp.dir, "stories");
  const service = await openStories({ backend: "filesystem", path: root });
  const changes: [string, () => Promise<unknown>][] = [
    ["a first save", () => service.saveStory("a", { text: "one" })],
    ["another save", () => service.saveStory("a", { text: "two" })],
    ["tags", () => service.updateMetadata("a", { tags: ["x"] })],
    ["a batch", () => service.batchSave({ b: { text: "b" }, c: { text: "c" } })],
    ["a delete", () => service.deleteStory("a")],
  ];
  for (const [name, change] of changes) {
    seen.steps.length = 0;
    await change();
    const { steps } = seen;
    const decided = steps.findIndex(({ what, to }) => what === "rename" && basename(to!) === ".journal.json");
    const finished = steps.findIndex(({ what, path }) => what === "rm" && basename(path) === ".journal.json");
    expect(decided, name).toBeGreaterThan(-1);
    expect(finished, name).toBeGreaterThan(decided);
    const journal = steps[decided]!;
    const { moves, removes } = JSON.parse(journal.text!) as {
      moves: { from: string; to: string }[];
      removes: string[];
    };
    expect(moves.length + removes.length, name).toBeGreaterThan(0);
    const isSynced = (path: string, after: number, before: number) =>
      steps.some(({ what, path: own }, at) => what === "sync" && own === path && at > after && at < before);
    for (const path of [...moves.map(({ from }) => join(root, from)), journal.path]) {
      const written = last("write", path);
      expect(written, `${name}: ${path}`).toBeGreaterThan(-1);
      expect(isSynced(path, written, decided), `${name}: content of ${relative(root, path)}`).toBe(true);
      expect(isSynced(dirname(path), written, decided), `${name}: name of ${relative(root, path)}`).toBe(true);
    }
    const done = [
      ...moves.map(({ from, to }) => [last("rename", join(root, from)), to] as const),
      ...removes.map((path) => [last("rm", join(root, path)), path] as const),
    ];
    expect(
      isSynced(root, decided, Math.min(...done.map(([at]) => at).filter((at) => at > -1))),
      `${name}: journal`,
    ).toBe(true);
    for (const [at, path] of done)
      expect(isSynced(dirname(join(root, path)), at, finished), `${name}: ${path}`).toBe(true);
  }
  await service.close();
});

/** Whether the names in a folder are synced after one step and before another. */
function isSyncedBetween(folder: string, after: number, before: number): boolean {
  return seen.steps.some(({ what, path }, at) => what === "sync" && path === folder && at > after && at < before);
}

test("a kept revision and each new folder are on the disk before the journal relies on them", async () => {
  await using temp = await tempDatabase();
  const root = join(temp.dir, "new", "stories");
  const service = await openStories({ backend: "filesystem", path: root });
  const opened = seen.steps.length;
  // The parents of all new files and folders, starting with the existing folder.
  for (const folder of [temp.dir, dirname(root), root]) {
    expect(isSyncedBetween(folder, last("mkdir", root), opened), folder).toBe(true);
  }
  await service.saveStory("a", { n: 1 });
  for (const change of [() => service.saveStory("a", { n: 2 }), () => service.updateMetadata("a", { title: "T" })]) {
    seen.steps.length = 0;
    await change();
    const decided = seen.steps.findIndex(({ what, to }) => what === "rename" && basename(to!) === ".journal.json");
    const kept = seen.steps.findIndex(({ what, to }) => what === "link" && to!.startsWith(join(root, "revisions")));
    expect(kept).toBeGreaterThan(-1);
    expect(kept).toBeLessThan(decided);
    const folder = dirname(seen.steps[kept]!.to!);
    expect(isSyncedBetween(folder, kept, decided)).toBe(true);
    const made = last("mkdir", folder);
    if (made > -1) expect(isSyncedBetween(dirname(folder), made, decided)).toBe(true);
  }
  await service.close();
});

test("the new folder of a database and that of a backup are on the disk when the call ends", async () => {
  await using temp = await tempDatabase();
  const path = join(temp.dir, "one", "two", "test.db");
  const storage = await openStorage(path);
  for (const folder of [temp.dir, join(temp.dir, "one")]) {
    expect(isSyncedBetween(folder, last("mkdir", dirname(path)), seen.steps.length), folder).toBe(true);
  }
  const copy = join(temp.dir, "copies", "of today", "copy.db");
  await storage.backup(copy);
  for (const folder of [temp.dir, join(temp.dir, "copies")]) {
    expect(isSyncedBetween(folder, last("mkdir", dirname(copy)), seen.steps.length), folder).toBe(true);
  }
  await storage.close();
});

test("a backup and a restored file are on the disk before they get their name, and their name is before the call ends", async () => {
  await using t = await tempStorage();
  await t.storage.memories.insert({ content: "x" });
  const placed = (to: string) => {
    const at = seen.steps.findIndex((step) => (step.what === "link" || step.what === "rename") && step.to === to);
    expect(at).toBeGreaterThan(-1);
    const content = seen.steps.findIndex(({ what, path }) => what === "sync" && path === seen.steps[at]!.path);
    expect(content).toBeGreaterThan(-1);
    expect(content).toBeLessThan(at);
    expect(last("sync", dirname(to))).toBeGreaterThan(at);
  };
  const copy = join(t.db.dir, "copies", "copy.db");
  await t.storage.backup(copy);
  placed(copy);
  const target = join(t.db.dir, "restored", "test.db");
  await restore(copy, target);
  placed(target);
  seen.steps.length = 0;
  await restore(copy, target);
  placed(target);
  expect(readFileSync(target).equals(readFileSync(copy))).toBe(true);
});
