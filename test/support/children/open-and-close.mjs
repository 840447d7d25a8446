// For each command, opens the file `path` with the stock driver, reads it, and closes it so that SQLite closes it too.
// With `verify`, reports its content. Needs --expose-gc, because the driver closes a connection only when its
// statements are collected.
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { setImmediate as nextTurn } from "node:timers/promises";

const require = createRequire(createRequire(import.meta.url).resolve("@libsql/client"));
const Database = require("libsql");

function use({ path, verify }) {
  const database = new Database(path);
  const rows = database.prepare("SELECT count(*) AS n FROM memories").all()[0].n;
  const integrity = verify ? database.prepare("PRAGMA integrity_check").all()[0].integrity_check : "";
  database.close();
  return { rows, integrity };
}

function isOpen(path) {
  return readdirSync("/proc/self/fd").some((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`).startsWith(path);
    } catch {
      return false;
    }
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  let answer;
  try {
    answer = use(order);
  } catch (error) {
    answer = { rows: -1, integrity: String(error) };
  }
  do {
    globalThis.gc();
    await nextTurn();
  } while (existsSync("/proc/self/fd") && isOpen(order.path));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
