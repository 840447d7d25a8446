// Reads a file again and again, in one statement each time, and reports every different answer once, until told to end.
import { createInterface } from "node:readline";
import { createClient } from "@libsql/client";

const { url, query } = JSON.parse(process.argv[2]);
const tell = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const client = createClient({ url, timeout: 5000 });
const seen = new Set();
let isEnding = false;
createInterface({ input: process.stdin }).once("line", () => {
  isEnding = true;
});
for (let count = 0; !isEnding; count++) {
  const answer = String((await client.execute(query)).rows[0][0]);
  if (!seen.has(answer)) tell({ event: "seen", answer });
  seen.add(answer);
  if (count === 0) tell({ event: "ready" });
  await new Promise((resolve) => setImmediate(resolve));
}
tell({ event: "done", seen: [...seen] });
process.exit();
