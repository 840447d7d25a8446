// Migrates a file and reports the result. Reports `{ event: "begun" }` while it holds the lock, before the first
// change.
import { createClient } from "holdfast/client";
import { migrate } from "holdfast/migrate";

const { url, ...options } = JSON.parse(process.argv[2]);
const tell = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const client = createClient({ url });
try {
  const before = ({ pending }) => tell({ event: "begun", pending });
  const logger = { info: (message) => tell({ event: "log", message }) };
  tell({ event: "done", ...(await migrate(client, { ...options, before, logger })) });
} catch (error) {
  tell({ event: "failed", code: error.code, message: error.message });
  console.error(error);
  process.exitCode = 1;
} finally {
  await client.close();
}
