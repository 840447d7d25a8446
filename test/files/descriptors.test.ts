import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { createClient } from "holdfast/client";
import { expect, test } from "vitest";
import { tempDatabase } from "../support/temp.js";

const FOLDER = "/proc/self/fd";

/** How many descriptors of this process point into `dir`. */
function openIn(dir: string): number {
  return readdirSync(FOLDER).filter((descriptor) => {
    try {
      return readlinkSync(`${FOLDER}/${descriptor}`).startsWith(dir);
    } catch {
      // The one that lists the folder is gone by now.
      return false;
    }
  }).length;
}

test.skipIf(!existsSync(FOLDER))(
  "500 transactions and 500 failures leak no file descriptor (needs /proc)",
  async () => {
    await using db = await tempDatabase();
    const client = createClient({ url: db.url, durability: "relaxed" });
    await client.execute("CREATE TABLE t (a UNIQUE)");
    const use = async (i: number) => {
      const tx = await client.transaction((["write", "deferred", "read"] as const)[i % 3]);
      await tx.execute("SELECT * FROM t WHERE a = 1");
      if (i % 2 === 0) await tx.commit();
      else tx.close();
      await client.execute("SELECT nothing FROM t").catch(() => undefined);
    };
    await Promise.all(Array.from({ length: 12 }, (_, i) => use(i)));
    const before = openIn(db.dir);
    for (let i = 0; i < 500; i++) await use(i);
    await Promise.all(Array.from({ length: 12 }, (_, i) => use(i)));
    expect(before).toBeGreaterThan(0);
    expect(openIn(db.dir)).toBeLessThanOrEqual(before);
    await client.close();
  },
);

test.skipIf(!existsSync(FOLDER))(
  "closed clients release their descriptors once their garbage is collected",
  async () => {
    await using db = await tempDatabase();
    const collect = (globalThis as { gc?: () => void }).gc;
    for (let i = 0; i < 30; i++) {
      const client = createClient({ url: db.url });
      await client.execute("CREATE TABLE IF NOT EXISTS t (a)");
      await client.execute("SELECT * FROM t");
      await client.close();
    }
    if (collect === undefined) return console.log("gc() is not exposed: skipped");
    // The binding closes a connection only when its statements have been finalized, in turns of the event loop.
    const left = () => {
      collect();
      return openIn(db.dir);
    };
    await expect.poll(left, { timeout: 30_000, interval: 20 }).toBe(0);
  },
);
