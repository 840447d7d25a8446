// Writes with short pauses until told to stop, and reports its longest write.
import { createInterface } from "node:readline";
import { createClient } from "holdfast/client";

const { path } = JSON.parse(process.argv[2]);
const client = createClient({ url: `file:${path}`, busyTimeoutMs: 30_000 });
let isStopped = false;
createInterface({ input: process.stdin }).once("line", () => {
  isStopped = true;
});
await client.execute("CREATE TABLE IF NOT EXISTS waits (n INTEGER)");
console.log(JSON.stringify({ isReady: true }));
const waits = [];
while (!isStopped) {
  const start = performance.now();
  await client.execute("INSERT INTO waits VALUES (1)");
  waits.push(performance.now() - start);
  // A writer without pauses would slow down the call that the test measures.
  await new Promise((resolve) => setTimeout(resolve, 2));
}
waits.sort((a, b) => a - b);
const at = (share) => waits[Math.min(waits.length - 1, Math.floor(waits.length * share))];
console.log(JSON.stringify({ writes: waits.length, medianMs: at(0.5), p95Ms: at(0.95), longestMs: at(1) }));
await client.close();
