import { statSync } from "node:fs";
import { openStorage } from "holdfast";
import { create, createStorage, type MemoryEntry } from "holdfast/memvid";
import { expect, test } from "vitest";
import { tempDatabase } from "../support/temp.js";

/** Tool output: long, and much like the one before. */
const content = (i: number) =>
  `Run ${i} of the deployment to kubernetes.\n${Array.from({ length: 60 }, (_, line) => `step ${line}: pulled image registry/app:v1.${i}.${line}, é 数据库`).join("\n")}`;
const entry = (i: number, fields: Partial<MemoryEntry> = {}): MemoryEntry => ({
  id: `n${i}`,
  type: "tool",
  content: content(i),
  metadata: { i },
  createdAt: new Date(1e12 + i),
  ...fields,
});

async function filled(path: string, compression: boolean) {
  const storage = await createStorage({ path, compression, strict: true });
  await Promise.all(Array.from({ length: 150 }, (_, i) => storage.write(`n${i}`, entry(i))));
  await storage.write("short", entry(0, { id: "short", content: "a short note about Bernete" }));
  return storage;
}

test("a compressed file is smaller, and answers the same", async () => {
  await using first = await tempDatabase("plain.db");
  await using second = await tempDatabase("packed.db");
  const plain = await filled(first.path, false);
  const packed = await filled(second.path, true);
  for (const id of ["n0", "n149", "short"]) expect(await packed.read(id)).toEqual(await plain.read(id));
  const queries = [
    "deployment",
    "v1.7.3",
    "kubernetes run 12",
    "ubernete",
    "RNETE",
    "gistry/ap",
    "数据",
    "",
    "zebra",
    "pulled imag",
  ];
  for (const query of queries) {
    expect(await packed.search(query, 20), query).toEqual(await plain.search(query, 20));
  }
  expect(await packed.stats()).toEqual(await plain.stats());
  await Promise.all([plain.close(), packed.close()]);
  const [large, small] = [first, second].map(({ path }) => statSync(path).size);
  expect(small!).toBeLessThan(large! * 0.9);
});

test("a compressed file is read by every API and by plain repositories, and maintained like any other", async () => {
  await using db = await tempDatabase("packed.db");
  await (await filled(db.path, true)).close();
  {
    await using mv = await create(db.path);
    expect(await mv.view(5)).toBe(content(5));
    expect((await mv.timeline({ limit: 1 }))[0]!.preview).toBe(content(0).slice(0, 120));
    const { hits, total_hits } = await mv.find("ubernete", { k: 3 });
    expect(hits[0]!.snippet).toContain("kubernetes");
    expect(total_hits).toBe(150);
    expect(await mv.verify({ deep: true })).toMatchObject({ overall_status: "passed" });
  }
  await using storage = await openStorage(db.path);
  const { memories } = storage;
  expect((await memories.require("n3")).content).toBe(content(3));
  expect((await memories.search("ubernete", { limit: 2 })).map(({ match }) => match)).toEqual([
    "substring",
    "substring",
  ]);
  const { rows } = await storage.client.execute("select typeof(content), count(*) from memories group by 1 order by 1");
  expect(rows.map((row) => [row[0], row[1]])).toEqual([
    ["blob", 150],
    ["text", 1],
  ]);
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
  await memories.update("n3", { metadata: { changed: true } });
  await memories.delete("n4");
  await memories.restore("n4");
  expect((await memories.require("n3")).content).toBe(content(3));
  await storage.reindex();
  expect((await memories.search("deployment")).length).toBe(10);
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
  expect((await memories.stats()).bytes).toBe(
    Array.from({ length: 150 }, (_, i) => Buffer.byteLength(content(i))).reduce((a, b) => a + b, 0) + 26,
  );

  await using other = await tempDatabase("other.db");
  await using copy = await openStorage({ url: other.path, compressContents: true });
  expect(await copy.import(storage.export())).toMatchObject({ inserted: 151 });
  expect((await copy.memories.require("n9")).content).toBe(content(9));
  expect(await copy.check({ deep: true })).toMatchObject({ ok: true });
  const lines = async (from: typeof storage) => {
    const all: string[] = [];
    for await (const line of from.export()) all.push(line as string);
    return all.slice(1).sort();
  };
  expect(await lines(copy)).toEqual(await lines(storage));
});

test("a compressed content that is damaged is CORRUPT, and found by a deep check", async () => {
  await using db = await tempDatabase("packed.db");
  await (await filled(db.path, true)).close();
  await using storage = await openStorage(db.path);
  await storage.client.execute("update memories set content = substr(content, 1, 40) where id = 'n7'");
  await storage.client.execute("update memories set content = x'07' where id = 'n8'");
  for (const id of ["n7", "n8"]) await expect(storage.memories.get(id)).rejects.toMatchObject({ code: "CORRUPT" });
  const { ok, findings } = await storage.check({ deep: true });
  expect(ok).toBe(false);
  expect(findings.map(({ message }) => message).join("\n")).toMatch(/n7.*n8/s);
  expect((await storage.memories.require("n9")).content).toBe(content(9));
});
