// Writes triples of memories in one transaction each, one after the other, until it is told to stop. Reports the
// number.
import { createInterface } from "node:readline";
import { openStorage } from "holdfast";

const { path, writer } = JSON.parse(process.argv[2]);
// The process that holds the lock may not run for seconds.
const storage = await openStorage({ url: path, busyTimeoutMs: 60_000 });
let isStopped = false;
const orders = createInterface({ input: process.stdin });
orders.once("line", () => {
  isStopped = true;
  orders.close();
});
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
let written = 0;
while (!isStopped) {
  await storage.transaction(async (tx) => {
    for (const part of [1, 2, 3]) {
      await tx.memories.insert({
        id: `${writer}-${written}-${part}`,
        content: `triple ${writer} ${written} part ${part}`,
      });
    }
  });
  written++;
  if (written === 5) say({ running: true });
}
await storage.close();
say({ done: true, written });
process.exit(0);
