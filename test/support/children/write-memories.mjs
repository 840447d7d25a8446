// Stores a memory for each text, and closes; with `keepsLog` it ends without closing, as a process does that is killed.
import { openStorage } from "holdfast";

const { url, contents, keepsLog } = JSON.parse(process.argv[2]);
const storage = await openStorage(url);
for (const content of contents) await storage.memories.insert({ content });
if (!keepsLog) await storage.close();
console.log(JSON.stringify({ done: true }));
process.exit(0);
