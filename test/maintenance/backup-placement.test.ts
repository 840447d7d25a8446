import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { rejection } from "../support/clients.js";
import { tempStorage } from "../support/storage.js";

const faults = vi.hoisted(() => ({ folder: "" }));
vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  const failing = new Set<number>();
  const openSync = (path: string, ...rest: [string]) => {
    const descriptor = real.openSync(path, ...rest);
    if (path === faults.folder) failing.add(descriptor);
    else failing.delete(descriptor);
    return descriptor;
  };
  const fsync = (descriptor: number, done: (error?: Error | null) => void) => {
    if (!failing.has(descriptor)) return real.fsync(descriptor, done);
    done(Object.assign(new Error("EIO: i/o error, fsync"), { code: "EIO", syscall: "fsync" }));
  };
  return { ...real, openSync, fsync };
});

test("a backup that rejects because its folder cannot be synced leaves no file, so that it can be tried again", async () => {
  // It left the finished file, and the next try was refused with EXISTS.
  await using t = await tempStorage();
  await t.storage.memories.insert({ content: "x" });
  const folder = join(t.db.dir, "copies");
  const destination = join(folder, "copy.db");
  faults.folder = folder;
  expect((await rejection(t.storage.backup(destination))).code).toBe("IO");
  expect(existsSync(destination)).toBe(false);
  faults.folder = "";
  expect((await t.storage.backup(destination)).path).toBe(destination);
  expect(readdirSync(folder)).toEqual(["copy.db"]);
});
