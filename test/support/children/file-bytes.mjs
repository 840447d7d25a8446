// Reads files in a process that has no database open: an open and close of a database file elsewhere would take its
// locks away. Copies each pair of names, then reports the hash of `path`.
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync } from "node:fs";

const { path, copies = [] } = JSON.parse(process.argv[2]);
for (const [from, to] of copies) copyFileSync(from, to);
const hash = path === undefined ? undefined : createHash("sha256").update(readFileSync(path)).digest("hex");
console.log(JSON.stringify({ hash }));
