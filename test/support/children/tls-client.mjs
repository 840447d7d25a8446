// Opens the storage of `options`, stores a memory and finds it again. Reports success, or the failure.
import { openStorage } from "holdfast";

const { options } = JSON.parse(process.argv[2]);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
try {
  const storage = await openStorage(options);
  await storage.memories.insert({ id: "by-tls", content: "over the kubernetes wire" });
  await storage.transaction((tx) => tx.sessions.start("by-tls"));
  const found = await storage.memories.search("wire");
  await storage.close();
  say({ found: found.map(({ memory }) => memory.id) });
} catch (error) {
  const { code, message, retryable, outcome } = error;
  say({ code, message, retryable, outcome, causeOutcome: error.cause?.outcome });
}
process.exit(0);
