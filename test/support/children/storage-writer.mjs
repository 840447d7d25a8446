// Opens the storage at `path`, migrating it if need be, and inserts `count` memories, some awaited, some together.
import { openStorage } from "holdfast";

const { path, writer, count } = JSON.parse(process.argv[2]);
// Whoever holds the lock may be kept from the processor for seconds.
const storage = await openStorage({ url: path, busyTimeoutMs: 60_000 });
const insert = (i) => storage.memories.insert({ id: `${writer}-${i}`, content: `writer ${writer} wrote number ${i}` });
for (let i = 0; i < count / 2; i++) await insert(i);
await Promise.all(Array.from({ length: count / 2 }, (_, i) => insert(count / 2 + i)));
await storage.close();
console.log(JSON.stringify({ done: true }));
