// Writes pairs of rows, one transaction each, until it is told to stop, is killed, or `forMs` have passed. Reports
// acknowledged pairs.
import { createClient } from "holdfast/client";

const { url, name, forMs = 60_000, options = {}, reportEach = true } = JSON.parse(process.argv[2]);
// The process that holds the lock may not run for seconds.
const client = createClient({ url, busyTimeoutMs: 60_000, ...options });
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
await client.executeMultiple(`
  CREATE TABLE IF NOT EXISTS pairs (writer TEXT, n INTEGER, half INTEGER, pad BLOB DEFAULT (zeroblob(400)));
  CREATE INDEX IF NOT EXISTS by_writer ON pairs (writer, n);
`);
say({ ready: true });
const row = (n, half) => ({ sql: "INSERT INTO pairs (writer, n, half) VALUES (?, ?, ?)", args: [name, n, half] });
let end = Date.now() + forMs;
process.stdin.once("data", () => {
  end = 0;
});
let written = 0;
const ways = [
  (n) => client.batch([row(n, 1), row(n, 2)], "write"),
  async (n) => {
    const tx = await client.transaction(n % 2 === 0 ? "write" : "deferred");
    await tx.execute(row(n, 1));
    await tx.execute(row(n, 2));
    await tx.commit();
  },
  (n) =>
    client.execute({
      sql: "INSERT INTO pairs (writer, n, half) VALUES (?, ?, 1), (?, ?, 2)",
      args: [name, n, name, n],
    }),
];
let n = 0;
while (Date.now() < end) {
  // Several at once, so that a kill can hit a group commit.
  const group = Array.from({ length: 1 + (n % 5) }, () => n++);
  await Promise.all(
    group.map(async (one) => {
      await ways[one % ways.length](one);
      written++;
      if (reportEach) say({ stored: one });
    }),
  );
}
say({ done: true, written, stats: client.stats() });
await client.close();
process.stdin.destroy();
