// Appends to a conversation as it is told: { path, id, writer, count, isParallel } or, with `crashAfter`, until it kills itself.
import { openStorage } from "holdfast";

const { path, id, writer, count, crashAfter } = JSON.parse(process.argv[2]);
// The process that holds the lock may not run for seconds.
const storage = await openStorage({ url: path, busyTimeoutMs: 60_000 });
process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
await new Promise((resolve) => process.stdin.once("data", resolve));
const one = (n) => ({ role: "user", content: `${writer} says ${n}`, clientId: `${writer}-${n}` });
if (crashAfter === undefined) {
  const stored = await Promise.all(Array.from({ length: count }, (_, n) => storage.conversations.append(id, one(n))));
  process.stdout.write(`${JSON.stringify({ seqs: stored.map(({ seq }) => seq) })}\n`);
  await storage.close();
  process.exit(0);
}
// The change is committed, but the process ends before the caller learns of it.
storage.on("change", ({ ids }) => {
  if (ids.length > 0 && --left === 0) process.kill(process.pid, "SIGKILL");
});
let left = crashAfter;
for (let n = 0; ; n++) await storage.conversations.append(id, one(n));
