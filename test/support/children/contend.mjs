// Commits pairs of rows against other processes, `count` times, and reports its longest wait. With `jumps`, its clock
// jumps by hours in both directions all the time.
import { createClient } from "holdfast/client";

const { url, name, count, busyTimeoutMs, options = {}, jumps = false } = JSON.parse(process.argv[2]);
if (jumps) {
  const realNow = Date.now;
  let calls = 0;
  Date.now = () => realNow() + [0, 5, -5, 24, -24][calls++ % 5] * 3_600_000;
}
const client = createClient({ url, busyTimeoutMs, ...options });
const failures = [];
const insert = (n, half) => ({ sql: "INSERT INTO pairs (writer, n, half) VALUES (?, ?, ?)", args: [name, n, half] });
let longestMs = 0;
let written = 0;
for (let n = 0; n < count; n++) {
  const start = performance.now();
  try {
    if (n % 4 === 0) {
      const tx = await client.transaction("write");
      await tx.execute(insert(n, 1));
      await tx.execute(insert(n, 2));
      await tx.commit();
    } else {
      await client.batch([insert(n, 1), insert(n, 2)], "write");
    }
    written++;
  } catch (error) {
    failures.push(`${error.code} after ${Math.round(performance.now() - start)} ms: ${error.message}`);
  }
  longestMs = Math.max(longestMs, performance.now() - start);
}
await client.close();
process.stdout.write(`${JSON.stringify({ written, longestMs: Math.round(longestMs), failures })}\n`);
