import { statSync } from "node:fs";
import { expect, test } from "vitest";
import { LogGauge, SEES_FILL } from "../../../src/client/local/wal-file.js";
import { openTestClient } from "../../support/clients.js";
import { tempDatabase } from "../../support/temp.js";

const FRAME = 24 + 4096;

test.skipIf(!SEES_FILL)("a log is filled to its last committed frame, whatever the file's size", async () => {
  await using db = await tempDatabase();
  const log = `${db.path}-wal`;
  const gauge = new LogGauge(db.path);
  expect([gauge.used(), gauge.size()]).toEqual([0, 0]);
  // Durable commits would have the file lengthened ahead of them.
  await using client = openTestClient(db.url, { durability: "relaxed" });
  await client.execute("CREATE TABLE t (a)");
  for (let i = 0; i < 20; i++) await client.execute("INSERT INTO t VALUES (zeroblob(3000))");
  const seeing = new LogGauge(db.path);
  // The first generation has only grown, so here the size does tell.
  const frames = (statSync(log).size - 32) / FRAME;
  expect(frames).toBeGreaterThan(20);
  expect(seeing.used()).toBe(32 + frames * FRAME);
  expect(seeing.size()).toBe(statSync(log).size);

  await client.checkpoint();
  expect(seeing.size()).toBe(32 + frames * FRAME);
  expect(seeing.used()).toBe(32 + FRAME);
});

test("a gauge that cannot see the shared memory goes by the size of the file", async () => {
  await using db = await tempDatabase();
  const gauge = new LogGauge(db.path);
  // It looked once before there was anything to find, and looks again after a second only.
  gauge.used();
  await using client = openTestClient(db.url, { durability: "relaxed" });
  await client.execute("CREATE TABLE t (a)");
  await client.execute("INSERT INTO t VALUES (1)");
  expect(gauge.used()).toBe(statSync(`${db.path}-wal`).size);
  expect(gauge.used()).toBeGreaterThan(0);
});

test("durable commits find the log longer than they need, also past its limit while a reader is pinned", async () => {
  await using db = await tempDatabase();
  const walBytes = 1 << 20;
  await using client = openTestClient(db.url, { checkpoint: { walBytes } });
  await client.execute("CREATE TABLE t (a)");
  const gauge = new LogGauge(db.path);
  const reader = await client.transaction("read");
  await reader.execute("SELECT count(*) FROM t");
  const isAhead = () => gauge.size() > walBytes && gauge.used() < gauge.size();
  for (let i = 0; i < 2_000 && !isAhead(); i++) await client.execute("INSERT INTO t VALUES (zeroblob(3000))");
  expect(isAhead()).toBe(true);
  reader.close();
});
