import { expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { column, openTestClient } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

test("a reader never sees half a transaction during heavy writes of two processes", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url, { durability: "relaxed" });
  const options = { durability: "relaxed" };
  await using one = startChild("write-pairs", { url: db.url, name: "one", options, reportEach: false });
  await using two = startChild("write-pairs", { url: db.url, name: "two", options, reportEach: false });
  const isReady = ({ ready }: { ready?: boolean }) => ready === true;
  await Promise.all([one.message(isReady), two.message(isReady)]);
  const odd = "SELECT count(*) FROM (SELECT 1 FROM pairs GROUP BY writer, n HAVING count(*) <> 2)";
  const total = "SELECT count(*) FROM pairs";
  let reads = 0;
  let last = 0;
  const end = performance.now() + 1500;
  while (reads < 20 || performance.now() < end) {
    expect(await column(client, odd)).toEqual([0]);
    const [first, second, third] = await client.batch([total, odd, total], "read");
    expect(third!.rows[0]![0]).toBe(first!.rows[0]![0]);
    expect(second!.rows[0]![0]).toBe(0);
    // Later reads never see less.
    expect(first!.rows[0]![0]).toBeGreaterThanOrEqual(last);
    last = first!.rows[0]![0] as number;
    const tx = await client.transaction("read");
    const before = (await tx.execute(total)).rows[0]![0] as number;
    // Others commit during the transaction.
    await expect
      .poll(async () => (await column(client, total))[0], { timeout: 30_000, interval: 1 })
      .toBeGreaterThan(before);
    expect((await tx.execute(total)).rows[0]![0]).toBe(before);
    expect((await tx.execute(odd)).rows[0]![0]).toBe(0);
    tx.close();
    reads++;
  }
  for (const child of [one, two]) child.send("stop");
  type Done = { done?: boolean; written: number };
  const done = await Promise.all([one, two].map((child) => child.message<Done>(({ done }) => done === true)));
  const written = done.reduce((sum, { written }) => sum + written, 0);
  console.log(`${reads} rounds of reads during ${written} transactions`);
  expect(await column(client, total)).toEqual([written * 2]);
});

test("within one process a reader sees committed transactions, and nothing of open ones", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url, { durability: "relaxed" });
  await client.execute("CREATE TABLE t (a)");
  const tx = await client.transaction();
  for (let i = 1; i <= 50; i++) {
    await tx.execute("INSERT INTO t VALUES (1)");
    expect(await column(client, "SELECT count(*) FROM t")).toEqual([0]);
  }
  await tx.commit();
  expect(await column(client, "SELECT count(*) FROM t")).toEqual([50]);
});
