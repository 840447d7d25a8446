// Opens a file that was moved while this process had it open: before and after the closed connections are collected.
import { mkdirSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { openStorage } from "holdfast";

const { dir } = JSON.parse(process.argv[2]);
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");
const openMoved = (path) =>
  openStorage(path).then(
    async (storage) => {
      const count = await storage.memories.count();
      await storage.close();
      return { count };
    },
    ({ code, message }) => ({ code, message }),
  );

async function move(name) {
  mkdirSync(join(dir, name));
  const path = join(dir, name, "app.db");
  const moved = join(dir, name, "moved.db");
  const storage = await openStorage(path);
  await storage.memories.insert({ content: "kept" });
  await storage.client.checkpoint();
  await storage.memories.insert({ content: "in the log" });
  return { path, moved, storage };
}

// The storage stays referenced, like a variable of a program.
const first = await move("first");
await first.storage.client.checkpoint();
renameSync(first.path, first.moved);
const refused = await first.storage.memories.insert({ content: "x" }).catch(({ code }) => code);
await first.storage.close();
for (let turn = 0; turn < 3; turn++) {
  collect();
  await nextTurn();
}
const collected = await openMoved(first.moved);

// A statement that is still alive means that its connection is not collected yet.
const second = await move("second");
const require = createRequire(createRequire(import.meta.url).resolve("@libsql/client"));
const database = new (require("libsql"))(second.path);
const statement = database.prepare("SELECT count(*) FROM memories");
statement.all([]);
renameSync(second.path, second.moved);
database.close();
await second.storage.close();
const uncollected = await openMoved(second.moved);
console.log(
  JSON.stringify({ refused, collected, uncollected, kept: typeof first.storage.close, held: statement.reader }),
);
process.exit(0);
