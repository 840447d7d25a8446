// Writes pairs of rows like a process without our client: with SQLite's automatic checkpoints and its busy handler.
import { createRequire } from "node:module";

const stockRequire = createRequire(createRequire(import.meta.url).resolve("@libsql/client"));
const Database = stockRequire("libsql");
const { path, name, forMs, setup = [] } = JSON.parse(process.argv[2]);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const database = new Database(path, { timeout: 5000 });
for (const sql of ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", ...setup]) database.exec(sql);
database.exec(`
  CREATE TABLE IF NOT EXISTS pairs (writer TEXT, n INTEGER, half INTEGER, pad BLOB DEFAULT (zeroblob(400)));
  CREATE INDEX IF NOT EXISTS by_writer ON pairs (writer, n);
`);
say({ ready: true });
const end = Date.now() + forMs;
let written = 0;
let busy = 0;
let failure;
for (let n = 0; Date.now() < end && failure === undefined; n++) {
  try {
    const values = `('${name}', ${n}, 1), ('${name}', ${n}, 2)`;
    database.exec(`BEGIN IMMEDIATE; INSERT INTO pairs (writer, n, half) VALUES ${values}; COMMIT`);
    written++;
  } catch (error) {
    if (database.inTransaction) database.exec("ROLLBACK");
    if (error.rawCode === 5) busy++;
    else failure = `${error.code}: ${error.message}`;
  }
}
say({ done: true, written, busy, failure });
