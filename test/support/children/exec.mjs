// Runs the script `sql` on the database at `url`, and reports that it is done.
import { createClient } from "holdfast/client";

const { url, sql } = JSON.parse(process.argv[2]);
const client = createClient({ url });
await client.executeMultiple(sql);
await client.close();
process.stdout.write(`${JSON.stringify({ done: true })}\n`);
