// Counts how often each text occurs in the files. Runs in a separate process, because closing a descriptor of a
// database drops the locks of the process that has it open.
import { existsSync, readFileSync } from "node:fs";

const { path, texts } = JSON.parse(process.argv[2]);
const found = {};
for (const suffix of ["", "-wal"]) {
  if (!existsSync(path + suffix)) continue;
  const bytes = readFileSync(path + suffix);
  for (const text of texts) {
    let count = 0;
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) count++;
    if (count > 0) found[`${suffix || "file"}: ${text}`] = count;
  }
}
console.log(JSON.stringify(found));
