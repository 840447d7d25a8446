// Backs up the storage at `path` to `destination`, and reports its progress. Kills itself once `killedAt` bytes are
// there.
import { openStorage } from "holdfast";

const { path, destination, killedAt = Number.POSITIVE_INFINITY } = JSON.parse(process.argv[2]);
const storage = await openStorage(path);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
say({ event: "begun" });
const onProgress = (progress) => {
  if (progress.done >= killedAt) process.kill(process.pid, "SIGKILL");
  say({ event: "progress", ...progress });
};
say({ event: "done", ...(await storage.backup(destination, { onProgress })) });
await storage.close();
