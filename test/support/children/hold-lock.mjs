// Holds the write lock of `url` for `forMs`, then commits one row into `t` if it is told so.
import { createClient } from "holdfast/client";

const { url, forMs, insert } = JSON.parse(process.argv[2]);
const client = createClient({ url });
const tx = await client.transaction("write");
console.log(JSON.stringify({ locked: true }));
await new Promise((resolve) => setTimeout(resolve, forMs));
if (insert !== undefined) await tx.execute({ sql: "INSERT INTO t VALUES (?)", args: [insert] });
await tx.commit();
console.log(JSON.stringify({ released: true }));
await client.close();
