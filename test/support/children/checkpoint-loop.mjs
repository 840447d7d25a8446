// Checkpoints repeatedly without the write lock, which no process should do to a file that others write.
import { createRequire } from "node:module";

const stockRequire = createRequire(createRequire(import.meta.url).resolve("@libsql/client"));
const Database = stockRequire("libsql");
const { path, forMs } = JSON.parse(process.argv[2]);
const database = new Database(path, {});
const end = Date.now() + forMs;
const still = new Int32Array(new SharedArrayBuffer(4));
let rounds = 0;
let failure;
while (Date.now() < end && failure === undefined) {
  try {
    database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    rounds++;
    // A short pause, so that each checkpoint has something to do.
    Atomics.wait(still, 0, 0, Math.random());
  } catch (error) {
    if (error.rawCode !== 5 && error.rawCode !== 6) failure = `${error.code}: ${error.message}`;
  }
}
process.stdout.write(`${JSON.stringify({ done: true, rounds, failure })}\n`);
