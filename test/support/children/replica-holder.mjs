// Holds an embedded replica open. Each line of input makes it fetch, or store a version of a memory.
import { createInterface } from "node:readline";
import { openStorage } from "holdfast";

const { url, syncUrl, requestTimeoutMs } = JSON.parse(process.argv[2]);
const say = (message) => console.log(JSON.stringify(message));
let storage;
while (storage === undefined) {
  storage = await openStorage({ url, syncUrl, requestTimeoutMs, migrate: "skip" }).catch((error) => {
    say({ refused: error.code, message: error.message });
    if (error.code !== "UNAVAILABLE") process.exit(1);
  });
}
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const { id, slot, content } = JSON.parse(line);
  const work = slot === undefined ? storage.sync() : storage.memories.put(slot, { content });
  work.then(
    () => say({ id, ok: true }),
    ({ code, message, outcome }) => say({ id, ok: false, code, message, outcome }),
  );
}
