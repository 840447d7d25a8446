import { copyFileSync, existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { openStorage, restore } from "holdfast";
import { expect, test, vi } from "vitest";
import { startChild } from "../support/child.js";
import { openSecond } from "../support/clients.js";
import { tempStorage } from "../support/storage.js";
import { tempDatabase } from "../support/temp.js";

const hooks = vi.hoisted(() => ({
  afterStep: (_: string) => undefined as unknown,
  beforeCopy: async (_: string) => undefined as unknown,
}));
vi.mock("../../src/files/other-process.js", async (original) => {
  const real = await original<typeof import("../../src/files/other-process.js")>();
  const copyInOtherProcess = async (...args: Parameters<typeof real.copyInOtherProcess>) => {
    await hooks.beforeCopy(args[0]);
    await real.copyInOtherProcess(...args);
  };
  return { ...real, copyInOtherProcess };
});
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  const watched =
    (name: "rename" | "link" | "rm") =>
    async (...args: never[]) => {
      const result = await (real[name] as (...args: never[]) => Promise<unknown>)(...args);
      hooks.afterStep(`${name} ${args.join(" ")}`);
      return result;
    };
  return { ...real, rename: watched("rename"), link: watched("link"), rm: watched("rm") };
});

test("after each step of a restore one of the two files is whole in its place, with what only its log held", async () => {
  await using t = await tempStorage();
  await t.storage.memories.insert({ id: "old", content: "x" });
  const { path: backup } = await t.storage.backup(join(t.db.dir, "copies", "copy.db"));
  await t.storage.client.execute("UPDATE memories SET id = 'stale'");
  await t.storage.close();
  await using child = startChild("hold-open", { path: t.db.path });
  await child.message<{ open?: boolean }>(({ open }) => open === true);
  using second = openSecond(t.db.path, ["PRAGMA wal_autocheckpoint = 0"]);
  second.exec("UPDATE memories SET id = 'of the log'");
  child.kill();
  await child.exited;
  expect(statSync(`${t.db.path}-wal`).size).toBeGreaterThan(0);
  const seen: string[] = [];
  hooks.afterStep = (step) => {
    const dir = join(t.db.dir, `step-${seen.length}`);
    mkdirSync(dir);
    for (const end of ["", "-wal"])
      if (existsSync(t.db.path + end)) copyFileSync(t.db.path + end, join(dir, `test.db${end}`));
    seen.push(step);
  };
  await restore(backup, t.db.path);
  hooks.afterStep = () => undefined;
  const ids = seen.map((step, at) => {
    const path = join(t.db.dir, `step-${at}`, "test.db");
    expect(existsSync(path), step).toBe(true);
    using file = openSecond(path);
    expect(file.all("PRAGMA integrity_check")).toEqual([["ok"]]);
    return file.all("SELECT id FROM memories")[0]![0];
  });
  console.log(ids.join(", "));
  expect(ids.indexOf("old")).toBeGreaterThan(0);
  expect(ids).toEqual([...ids].sort((a, b) => Number(a === "old") - Number(b === "old")));
  expect(new Set(ids)).toEqual(new Set(["of the log", "old"]));
});

/** Collects the connections that this process has closed. The last one of a file removes its log. */
async function collectLog(path: string): Promise<void> {
  for (let round = 0; round < 100 && existsSync(`${path}-wal`); round++) {
    globalThis.gc!();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(existsSync(`${path}-wal`)).toBe(false);
}

test.each([1, 2])("a backup whose log vanishes before copy %i of its files is restored with all rows", async (at) => {
  await using db = await tempDatabase();
  const [backup, target] = [join(db.dir, "backup.db"), join(db.dir, "restored.db")];
  const made = await openStorage(backup);
  await made.memories.insertMany(Array.from({ length: 300 }, (_, i) => ({ content: `word ${i}` })));
  await made.close();
  expect(statSync(`${backup}-wal`).size).toBeGreaterThan(0);
  const copied: string[] = [];
  hooks.beforeCopy = async (from) => {
    if (copied.push(from) === at) await collectLog(backup);
  };
  await restore(backup, target);
  hooks.beforeCopy = async () => undefined;
  expect(copied.sort()).toEqual([backup, `${backup}-wal`]);
  await using restored = await openStorage(target);
  expect(await restored.memories.count()).toBe(300);
  expect((await restored.check({ deep: true })).ok).toBe(true);
});
