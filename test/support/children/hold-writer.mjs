// Writes, then takes the writer and never releases it. It ends when nothing keeps the process alive.
import { createClient } from "holdfast/client";

const { url } = JSON.parse(process.argv[2]);
const client = createClient({ url, acquireTimeoutMs: 3_600_000 });
await client.execute("CREATE TABLE t (a)");
await client.transaction("write");
process.stdin.destroy();
