// An embedded replica that inserts, deletes and fetches without pause. It prints a line for each resolved fetch.
import { openStorage } from "holdfast";

const { url, syncUrl, name, requestTimeoutMs, rounds = Number.POSITIVE_INFINITY } = JSON.parse(process.argv[2]);
const storage = await openStorage({ url, syncUrl, requestTimeoutMs, migrate: "skip" });
console.log(JSON.stringify({ ready: true }));
for (let round = 0; round < rounds; round++) {
  await storage.memories
    .insert({ id: `${name}-${round}`, content: `${name} wrote ${round} `.repeat(40) })
    .catch(() => undefined);
  if (round % 3 === 2) await storage.memories.delete(`${name}-${round - 1}`).catch(() => undefined);
  const synced = await storage.sync().then(
    () => true,
    (error) => error.code,
  );
  console.log(JSON.stringify({ round, synced }));
}
await storage.close();
console.log(JSON.stringify({ done: true }));
