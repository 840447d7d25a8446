// Reports the contents of the entries `ids` of `path`, with null for missing ones, and the number of entries.
import { createStorage } from "holdfast/memvid";

const { path, ids } = JSON.parse(process.argv[2]);
const storage = await createStorage({ path, strict: true });
const contents = [];
for (const id of ids) contents.push((await storage.read(id))?.content ?? null);
console.log(JSON.stringify({ contents, count: (await storage.stats()).count }));
await storage.close();
