// Opens the storage at `path`, and adds or deletes the edge named by each command, until its input ends.
import { createInterface } from "node:readline";
import { openStorage } from "holdfast";

const { path } = JSON.parse(process.argv[2]);
const storage = await openStorage(path);
console.log(JSON.stringify({ ready: true }));
for await (const line of createInterface({ input: process.stdin })) {
  const { add, remove } = JSON.parse(line);
  if (add !== undefined) await storage.graph.addEdge(add);
  if (remove !== undefined) await storage.graph.deleteEdge(remove);
  console.log(JSON.stringify({ done: add?.id ?? remove }));
}
await storage.close();
