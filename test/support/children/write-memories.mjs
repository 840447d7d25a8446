// Stores a memory for each text, and closes.
import { openStorage } from "holdfast";

const { url, contents } = JSON.parse(process.argv[2]);
const storage = await openStorage(url);
for (const content of contents) await storage.memories.insert({ content });
await storage.close();
console.log(JSON.stringify({ done: true }));
process.exit(0);
