// Opens the storage at `path`, reports it, inserts a memory for each id it receives, reports the result, and closes.
import { createInterface } from "node:readline";
import { openStorage } from "holdfast";

const { path } = JSON.parse(process.argv[2]);
const say = (message) => console.log(JSON.stringify(message));
const storage = await openStorage(path);
say({ open: true });
for await (const line of createInterface({ input: process.stdin })) {
  const { insert: id, end } = JSON.parse(line);
  if (end) break;
  const outcome = await storage.memories.insert({ id, content: "of a newcomer" }).then(
    () => "stored",
    (error) => error.code,
  );
  say({ outcome });
}
await storage.close();
process.exit(0);
