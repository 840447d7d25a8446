// Workers that open a file, work, await `close()` and end, first one after the other and then two at once, while this
// process has the file open too. A worker that ends before its `close()` has resolved may abort the process; these must
// not.
import { Worker } from "node:worker_threads";
import { openStorage } from "holdfast";

const { path, rounds } = JSON.parse(process.argv[2]);
const storage = await openStorage(path);

/** The rows that the worker knows are stored. */
async function round(n) {
  const how = n % 2 === 0 ? "exit" : "terminate";
  const worker = new Worker(new URL("./worker-round.mjs", import.meta.url), {
    workerData: { path, name: `round ${n}`, how, isStorage: n % 10 === 0 },
  });
  const ended = new Promise((resolve, reject) => {
    worker.once("exit", resolve);
    worker.once("error", reject);
  });
  const stored = await new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  if (how === "terminate") await worker.terminate();
  await ended;
  return stored;
}

let next = 0;
let stored = 0;
async function run() {
  while (next < rounds) {
    const ofWorker = await round(next++);
    await storage.memories.insert({ content: "of the host" });
    stored += ofWorker + 1;
  }
}
await Promise.all([run(), run()]);
const { rows } = await storage.client.execute("SELECT count(*) FROM memories");
const check = await storage.client.execute("PRAGMA integrity_check");
await storage.close();
process.stdout.write(`${JSON.stringify({ rounds: next, stored, found: rows[0][0], integrity: check.rows[0][0] })}\n`);
