// Stores a memory for each text, and closes. With `keepsLog`, it ends without closing, like a killed process.
import { openStorage } from "holdfast";

const { url, contents, keepsLog } = JSON.parse(process.argv[2]);
const storage = await openStorage(url);
for (const content of contents) await storage.memories.insert({ content });
if (!keepsLog) await storage.close();
console.log(JSON.stringify({ done: true }));
process.exit(0);
