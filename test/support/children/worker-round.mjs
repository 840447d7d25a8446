// In a worker thread: opens, writes and reads, also off the main thread, then closes, and only then ends.
import { parentPort, workerData } from "node:worker_threads";

const { path, name, how, isStorage } = workerData;
let stored = 0;
if (isStorage) {
  const { openStorage } = await import("holdfast");
  const storage = await openStorage(path);
  await storage.memories.insert({ content: name });
  stored++;
  // A substring search reads on another thread.
  await storage.memories.search("oun");
  await storage.close();
} else {
  const { createClient } = await import("holdfast/client");
  const client = createClient({ url: `file:${path}` });
  await Promise.all([1, 2, 3].map(() => client.execute("SELECT count(*) FROM memories")));
  await client.checkpoint();
  await client.close();
}
parentPort.postMessage(stored);
if (how === "exit") process.exit(0);
// Wait to be terminated.
setInterval(() => undefined, 1000);
