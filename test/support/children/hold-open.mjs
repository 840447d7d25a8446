// Opens the storage at `path`, reads it, reports that, closes it when told to, and ends when told again.
import { createInterface } from "node:readline";
import { openStorage } from "holdfast";

const { path } = JSON.parse(process.argv[2]);
const storage = await openStorage(path);
await storage.memories.list();
const orders = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
console.log(JSON.stringify({ open: true }));
await orders.next();
await storage.close();
process.exit(0);
