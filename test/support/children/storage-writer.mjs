// Opens the storage at `path`, migrates it if necessary, and inserts `count` memories, some one by one, some together.
import { openStorage } from "holdfast";

const { path, writer, count } = JSON.parse(process.argv[2]);
// The process that holds the lock may not run for seconds.
const storage = await openStorage({ url: path, busyTimeoutMs: 60_000 });
const insert = (i) => storage.memories.insert({ id: `${writer}-${i}`, content: `writer ${writer} wrote number ${i}` });
for (let i = 0; i < count / 2; i++) await insert(i);
await Promise.all(Array.from({ length: count / 2 }, (_, i) => insert(count / 2 + i)));
await storage.close();
console.log(JSON.stringify({ done: true }));
