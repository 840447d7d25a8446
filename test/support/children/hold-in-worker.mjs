// In a worker thread: opens the storage at `path`, reports it, and closes it when told to.
import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";
import { openStorage } from "holdfast";

const storage = await openStorage(workerData.path);
await storage.memories.list();
parentPort.postMessage("open");
await once(parentPort, "message");
await storage.close();
parentPort.close();
