// Uses readers, the writer and the log, then closes and ends.
import { createClient } from "holdfast/client";

const { url } = JSON.parse(process.argv[2]);
const client = createClient({ url, idleTimeoutMs: 3_600_000, checkpoint: { walBytes: 65_536 } });
await client.execute("CREATE TABLE t (a)");
const reader = await client.transaction("read");
for (let i = 0; i < 100; i++) await client.execute("INSERT INTO t VALUES (zeroblob(2000))");
// The timers of the checkpointer are the subject: it tries in vain while the reader is open, and sets the next one.
await new Promise((resolve) => setTimeout(resolve, 200));
reader.close();
await client.execute("INSERT INTO t VALUES (1)");
await client.close();
process.stdin.destroy();
