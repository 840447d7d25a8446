// Migrates a file when told to, and then reports what it finds in it.
import { createInterface } from "node:readline";
import { createClient } from "holdfast/client";
import { migrate } from "holdfast/migrate";

const { url, query, ...options } = JSON.parse(process.argv[2]);
const tell = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const client = createClient({ url });
tell({ event: "ready" });
for await (const _ of createInterface({ input: process.stdin })) break;
try {
  const { applied } = await migrate(client, options);
  const { rows } = await client.execute(query);
  tell({ event: "done", applied, found: rows.map((row) => row[0]) });
} catch (error) {
  tell({ event: "failed", code: error.code, message: error.message });
} finally {
  await client.close();
}
process.exit();
