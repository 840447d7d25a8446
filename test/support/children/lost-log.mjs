// Inserts, removes files of the open database, inserts on, and then ends as told.
import { rmSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { openStorage } from "holdfast";

const { path, remove, end } = JSON.parse(process.argv[2]);
const storage = await openStorage({ url: path, onError: () => undefined });
for (let at = 0; at < 5; at++) await storage.memories.insert({ id: `before-${at}`, content: "before" });
if (end === "kill") await storage.client.checkpoint();
// A turn that has just begun is not left before the next write, so no timer looks at the log in between.
await setImmediate();
for (const suffix of remove) rmSync(path + suffix);
let stored = 0;
const codes = new Set();
for (let at = 0; at < 200; at++) {
  try {
    await storage.memories.insert({ id: `after-${at}`, content: "after" });
    stored++;
  } catch (error) {
    codes.add(error.code);
  }
  await setImmediate();
}
const { ok, lastError } = await storage.health();
const report = { stored, codes: [...codes], ok, lastError };
if (end === "kill") {
  console.log(JSON.stringify(report));
  await new Promise((done) => process.stdin.once("data", done));
}
await storage.close();
if (end === "reopen")
  report.reopened = await openStorage(path).then(
    () => "opened",
    ({ code }) => code,
  );
console.log(JSON.stringify(report));
if (end === "exit") process.exit();
process.stdin.destroy();
