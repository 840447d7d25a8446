// Adds three memories, one commit each, and copies file and log while the memories are only in the log. The process
// that starts this one opens the file only through SQLite.
import { copyFileSync } from "node:fs";
import { openStorage } from "holdfast";

const { url, to } = JSON.parse(process.argv[2]);
const storage = await openStorage({ url, durability: "relaxed" });
for (let i = 0; i < 3; i++) await storage.memories.insert({ id: `m${1000 + i}`, content: "only in the log" });
const path = url.slice("file:".length);
copyFileSync(path, to);
copyFileSync(`${path}-wal`, `${to}-wal`);
console.log(JSON.stringify({ copied: true }));
process.exit(0);
