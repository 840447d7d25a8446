// Holds the write lock of `url` until it reads a line or is killed. If the line says so, commits one row into `t`.
import { once } from "node:events";
import { createClient } from "holdfast/client";

const { url, insert } = JSON.parse(process.argv[2]);
const client = createClient({ url });
const tx = await client.transaction("write");
console.log(JSON.stringify({ locked: true }));
await once(process.stdin, "data");
process.stdin.destroy();
if (insert !== undefined) await tx.execute({ sql: "INSERT INTO t VALUES (?)", args: [insert] });
await tx.commit();
console.log(JSON.stringify({ released: true }));
await client.close();
