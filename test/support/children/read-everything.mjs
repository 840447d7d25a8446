// Reads everything that the workload in `dir` has stored, in a fresh process, and checks the file and its full-text
// indexes.
import { checkFile } from "holdfast";
import { openEverything, readEverything } from "./workload.mjs";

const { dir } = JSON.parse(process.argv[2]);
const open = await openEverything(dir);
const { values, problems } = await readEverything(open);
const { findings } = await open.storage.check({ deep: true });
for (const { severity, message } of findings) if (severity !== "info") problems.push(message);
for (const key of values.keys()) {
  if (!key.startsWith("backup/")) continue;
  const { ok, findings } = await checkFile(`${open.places.backups}/${key.slice("backup/".length)}`);
  if (!ok) problems.push(`${key}: ${findings[0]?.message}`);
}
await open.close();
console.log(JSON.stringify({ values: [...values], problems }));
