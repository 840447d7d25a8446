import { statSync } from "node:fs";
import { expect, test } from "vitest";
import { isLogFilledTo } from "../../src/client/wal-file.js";
import { openTestClient } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

const FRAME = 24 + 4096;

test("a log is filled to what its last frame of this generation reaches, whatever the file's size", async () => {
  await using db = await tempDatabase();
  const log = `${db.path}-wal`;
  expect(isLogFilledTo(log, 0)).toBe(false);
  // Durable commits would have the file lengthened ahead of them.
  await using client = openTestClient(db.url, { durability: "relaxed" });
  await client.execute("CREATE TABLE t (a)");
  for (let i = 0; i < 20; i++) await client.execute("INSERT INTO t VALUES (zeroblob(3000))");
  // The first generation has only grown, so here the size does tell.
  const frames = (statSync(log).size - 32) / FRAME;
  expect(frames).toBeGreaterThan(20);
  expect(isLogFilledTo(log, 32 + frames * FRAME)).toBe(true);
  expect(isLogFilledTo(log, 33 + frames * FRAME)).toBe(false);

  await client.checkpoint();
  expect(statSync(log).size).toBe(32 + frames * FRAME);
  expect(isLogFilledTo(log, 32 + FRAME)).toBe(true);
  expect(isLogFilledTo(log, 33 + FRAME)).toBe(false);
});

test("durable commits find the log longer than they need, beside a pinned reader past its limit too", async () => {
  await using db = await tempDatabase();
  const log = `${db.path}-wal`;
  const walBytes = 1 << 20;
  await using client = openTestClient(db.url, { checkpoint: { walBytes } });
  await client.execute("CREATE TABLE t (a)");
  const reader = await client.transaction("read");
  await reader.execute("SELECT count(*) FROM t");
  const isAhead = () => {
    const { size } = statSync(log);
    return size > walBytes && !isLogFilledTo(log, size);
  };
  for (let i = 0; i < 2_000 && !isAhead(); i++) await client.execute("INSERT INTO t VALUES (zeroblob(3000))");
  expect(isAhead()).toBe(true);
  reader.close();
});
