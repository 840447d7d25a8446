// Migrates a file, and kills its own process `killAfterMs` after it has taken the lock: in the middle of a statement,
// if that is where it is, because another thread does it.
import { Worker } from "node:worker_threads";
import { createClient } from "holdfast/client";
import { migrate } from "holdfast/migrate";

const { url, killAfterMs, ...options } = JSON.parse(process.argv[2]);
const killer = new Worker(
  `const { parentPort } = require("node:worker_threads");
   parentPort.once("message", (ms) => {
     Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
     process.kill(process.pid, "SIGKILL");
   });
   parentPort.postMessage("ready");`,
  { eval: true },
);
await new Promise((resolve) => killer.once("message", resolve));
const client = createClient({ url });
await migrate(client, { ...options, before: () => killer.postMessage(killAfterMs) });
process.stdout.write(`${JSON.stringify({ event: "done" })}\n`);
// The kill is still to come.
setInterval(() => undefined, 1_000);
