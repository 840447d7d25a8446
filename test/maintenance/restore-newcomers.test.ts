import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { openStorage, restore } from "holdfast";
import { expect, test, vi } from "vitest";
import { type Child, runChild, startChild } from "../support/child.js";
import { rejection } from "../support/clients.js";
import { tempStorage } from "../support/storage.js";

const hooks = vi.hoisted(() => ({ beforeStep: async (_: string) => undefined as unknown }));
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  const watched = (name: "rename" | "link") => async (from: string, to: string) => {
    await hooks.beforeStep(`${name} ${from} ${to}`);
    return real[name](from, to);
  };
  return { ...real, rename: watched("rename"), link: watched("link") };
});

/** A storage with one memory, closed, and a backup of it from before that. */
async function closedStorage() {
  const temp = await tempStorage();
  const { path: backup } = await temp.storage.backup(join(temp.db.dir, "copies", "copy.db"));
  await temp.storage.memories.insert({ id: "one", content: "after the backup" });
  await temp.storage.close();
  return { temp, path: temp.db.path, backup, [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose]() };
}

async function idsIn(path: string): Promise<string[]> {
  await using storage = await openStorage(path);
  return (await storage.memories.list()).items.map(({ id }) => id).sort();
}

test("a process that opens the file between the steps of a restore keeps it, and what it writes is there", async () => {
  // It waited for the lock of a file that had lost its name, and was acknowledged after the restore had resolved.
  await using t = await closedStorage();
  let newcomer: Child | undefined;
  hooks.beforeStep = async (step) => {
    if (newcomer !== undefined || !step.includes("before-restore")) return;
    newcomer = startChild("open-and-insert", { path: t.path });
    await newcomer.message<{ open?: boolean }>(({ open }) => open === true);
  };
  const error = await rejection(restore(t.backup, t.path));
  hooks.beforeStep = async () => undefined;
  expect(error.code).toBe("IN_USE");
  await using child = newcomer!;
  child.send({ insert: "two" });
  const outcome = await child.message<{ outcome?: string }>((message) => message.outcome !== undefined);
  expect(outcome.outcome).toBe("stored");
  child.send({ end: true });
  await child.exited;
  expect(await idsIn(t.path)).toEqual(["one", "two"]);
});

test("a process that has the old file open after a restore is refused, and nothing of it is in the new one", async () => {
  await using t = await closedStorage();
  await using child = startChild("open-and-insert", { path: t.path });
  await child.message<{ open?: boolean }>(({ open }) => open === true);
  // What a restore does, by a program that does not look who has the file open.
  await runChild("replace-file", { from: t.backup, to: t.path });
  child.send({ insert: "two" });
  const outcome = await child.message<{ outcome?: string }>((message) => message.outcome !== undefined);
  expect(outcome.outcome).toBe("FILE_REPLACED");
  child.send({ end: true });
  await child.exited;
  expect(await idsIn(t.path)).toEqual([]);
});

test("a file that a worker thread of this process has open is IN_USE until the worker closes it", async () => {
  // What is open used to be known to each thread by itself: the worker's later writes were acknowledged and lost.
  await using t = await closedStorage();
  const worker = new Worker(new URL("../support/children/hold-in-worker.mjs", import.meta.url), {
    workerData: { path: t.path },
    execArgv: [],
  });
  const next = () => new Promise((resolve) => worker.once("message", resolve));
  await next();
  const error = await rejection(restore(t.backup, t.path));
  expect(error.code).toBe("IN_USE");
  expect(error.message).toContain("in this process");
  const ended = new Promise((resolve) => worker.once("exit", resolve));
  worker.postMessage("close");
  await ended;
  await restore(t.backup, t.path);
  expect(await idsIn(t.path)).toEqual([]);
});

test("a file that this process opens by a hard link while it has it open is refused, by its own name it is not", async () => {
  await using temp = await tempStorage();
  await temp.storage.memories.insert({ id: "one", content: "x" });
  const other = join(temp.db.dir, "other.db");
  await runChild("replace-file", { link: temp.db.path, to: other });
  const error = await rejection(openStorage(other));
  expect(error.code).toBe("IN_USE");
  expect(error.message).toContain("hard link");
  await using second = await openStorage(temp.db.path);
  await second.memories.insert({ id: "two", content: "y" });
  await second.close();
  await temp.storage.close();
  expect(await idsIn(temp.db.path)).toEqual(["one", "two"]);
});
