import { expect, test } from "vitest";
import { runChild } from "../support/child.js";
import { column, openTestClient } from "../support/clients.js";
import { report } from "../support/reliability-table.js";
import { rounds, SOAK_TIMEOUT_MS, soakMinutes } from "../support/soak.js";
import { tempDatabase } from "../support/temp.js";

const BUSY_TIMEOUT_MS = 120_000;

interface Done {
  readonly written: number;
  readonly longestMs: number;
  readonly failures: readonly string[];
}

/** Runs all of them at once on one file. Returns their reports, and the content of the file afterwards. */
async function contend(processes: number, count: number, jumps: boolean) {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.execute("CREATE TABLE pairs (writer TEXT, n INTEGER, half INTEGER, PRIMARY KEY (writer, n, half))");
  // The processes wait for each other, not for the disk.
  const options = { durability: "relaxed" };
  const done = await Promise.all(
    Array.from({ length: processes }, (_, i) =>
      runChild<Done>("contend", { url: db.url, name: `${i}`, count, busyTimeoutMs: BUSY_TIMEOUT_MS, options, jumps }),
    ),
  );
  const whole = "SELECT count(*) FROM (SELECT 1 FROM pairs GROUP BY writer, n HAVING count(*) = 2 AND sum(half) = 3)";
  const [found] = (await column(client, whole)) as [number];
  const [rows] = (await column(client, "SELECT count(*) FROM pairs")) as [number];
  const integrity = await column(client, "PRAGMA integrity_check");
  const written = done.reduce((sum, one) => sum + one.written, 0);
  const longestMs = Math.max(...done.map((one) => one.longestMs));
  return { written, found, rows, integrity, longestMs, failures: done.flatMap((one) => one.failures) };
}

test(
  "16 processes that commit at once lose nothing, and none sees SQLITE_BUSY before its timeout",
  async () => {
    let commits = 0;
    let lost = 0;
    let longest = 0;
    for (const _ of rounds(1)) {
      const result = await contend(16, soakMinutes === undefined ? 250 : 5000, false);
      commits += result.written;
      lost += result.written - result.found;
      longest = Math.max(longest, result.longestMs);
      expect.soft(result).toMatchObject({ rows: 2 * result.written, integrity: ["ok"], failures: [] });
    }
    report({
      what: "16 processes contending",
      tried: commits,
      unit: "commits",
      lost,
      note: `longest wait ${longest} ms`,
    });
    expect(lost).toBe(0);
    expect(commits).toBeGreaterThanOrEqual(4000);
  },
  SOAK_TIMEOUT_MS,
);

test("processes whose clocks jump by hours still wait for each other", async () => {
  const { written, found, failures, integrity } = await contend(4, 100, true);
  report({ what: "contention with jumping clocks", tried: written, unit: "commits", lost: written - found });
  expect({ written, found, failures, integrity }).toEqual({
    written: 400,
    found: 400,
    failures: [],
    integrity: ["ok"],
  });
});
