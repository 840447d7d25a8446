// In a worker thread: opens the storage at `path`, reads it or writes to it, and closes it.
import { workerData } from "node:worker_threads";
import { openStorage } from "holdfast";

const { path, write } = workerData;
const storage = await openStorage(path);
if (write) await storage.memories.insert({ content: "of a worker" });
else await storage.memories.list();
await storage.close();
