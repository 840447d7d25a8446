// Opens storages on `path` with ever fewer descriptors left, from none to all that one needs, and reports the errors.
import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";
import { openStorage } from "holdfast";

const { path } = JSON.parse(process.argv[2]);
// So that all that is loaded late is loaded, and the file is there.
await (await openStorage(path)).close();
const taken = [];
try {
  for (;;) taken.push(openSync(devNull, "r"));
} catch {
  // Full.
}
const errors = [];
for (let free = 0; free < 4; free++) {
  await openStorage(path).then(
    (storage) => storage.close(),
    (error) => errors.push({ code: error.code, message: error.message }),
  );
  closeSync(taken.pop());
}
for (const descriptor of taken) closeSync(descriptor);
console.log(JSON.stringify({ codes: errors.map(({ code }) => code), message: errors[0].message }));
process.exit(0);
