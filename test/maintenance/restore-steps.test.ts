import { copyFileSync, existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { restore } from "holdfast";
import { expect, test, vi } from "vitest";
import { startChild } from "../support/child.js";
import { openSecond } from "../support/clients.js";
import { tempStorage } from "../support/storage.js";

const hooks = vi.hoisted(() => ({ afterStep: (_: string) => undefined as unknown }));
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
