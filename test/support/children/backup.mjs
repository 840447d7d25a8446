// Backs the storage at `path` up to `destination`, telling of its progress.
import { openStorage } from "holdfast";

const { path, destination } = JSON.parse(process.argv[2]);
const storage = await openStorage(path);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
say({ event: "begun" });
const onProgress = (progress) => say({ event: "progress", ...progress });
say({ event: "done", ...(await storage.backup(destination, { onProgress })) });
await storage.close();
