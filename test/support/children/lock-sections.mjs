// Enters `sections` critical sections around the counter in `folder`, and reports the value that each of them wrote. If
// `dieAt` names a section, the process kills itself in that section, before or after the write.
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FileLock } from "holdfast/memvid";

const { folder, worker, sections, dieAt = -1, diesBefore = false } = JSON.parse(process.argv[2]);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const lock = new FileLock(join(folder, "counter"));
const inside = join(folder, "inside");
const counter = join(folder, "counter");

async function expectAlone(me) {
  const found = await readFile(inside, "utf8");
  if (found !== me) say({ violation: `${me} met ${found}` });
}

for (let section = 0; section < sections; section++) {
  if (!(await lock.acquire(60_000))) throw new Error("the lock was not free within a minute");
  const me = `${worker}/${process.pid}/${section}`;
  await writeFile(inside, me);
  const value = Number(await readFile(counter, "utf8")) + 1;
  if (section === dieAt && diesBefore) process.kill(process.pid, "SIGKILL");
  await expectAlone(me);
  await writeFile(`${counter}.${worker}`, String(value));
  await rename(`${counter}.${worker}`, counter);
  if (section === dieAt) process.kill(process.pid, "SIGKILL");
  await expectAlone(me);
  await rm(inside);
  say({ value });
  await lock.release();
}
say({ done: true });
