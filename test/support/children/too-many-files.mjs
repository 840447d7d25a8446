// Makes calls that open files with ever more descriptors left, from none to as many as a call needs. Reports the
// errors.
import { closeSync, mkdirSync, openSync, readdirSync } from "node:fs";
import { devNull } from "node:os";
import { join } from "node:path";
import { checkFile, openStorage, restore, salvage } from "holdfast";

const { path, folder } = JSON.parse(process.argv[2]);
process.env.TMPDIR = join(folder, "tmp");
mkdirSync(process.env.TMPDIR);
const storage = await openStorage(path);
await storage.memories.insert({ content: "kept" });
const copy = join(folder, "copy.db");
await storage.backup(copy);
const calls = {
  open: async () => (await openStorage(path)).close(),
  check: () => storage.check(),
  checkFile: () => checkFile(copy),
  salvage: (free) => salvage(copy, join(folder, `salvaged-${free}.db`)),
  restore: (free) => restore(copy, join(folder, `restored-${free}.db`)),
  backup: (free) => storage.backup(join(folder, `backup-${free}.db`)),
  firstImport: () => storage.import("{}"),
  import: () => storage.import("{}"),
};
const errors = [];
for (const [name, call] of Object.entries(calls)) {
  const taken = [];
  try {
    for (;;) taken.push(openSync(devNull, "r"));
  } catch {
    // Full.
  }
  for (let free = 0; free < 4; free++) {
    await call(free).catch(({ name: type, code, message, retryable }) =>
      errors.push({ call: name, type, code, message, retryable }),
    );
    closeSync(taken.pop());
  }
  for (const descriptor of taken) closeSync(descriptor);
  if (name === "firstImport") await storage.import("{}").catch(({ code }) => errors.push({ call: "again", code }));
}
const { items } = await storage.memories.list();
console.log(JSON.stringify({ errors, left: readdirSync(process.env.TMPDIR), kept: items.length }));
process.exit(0);
