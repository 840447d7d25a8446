// Makes calls on a path that is not a regular file, perhaps as another user or in a deleted folder, and reports the
// error of each.

import { mkdirSync, rmdirSync } from "node:fs";
import { chdir } from "node:process";
import { checkFile, openStorage, restore, salvage } from "holdfast";
import { createClient } from "holdfast/client";
import { FileLock } from "holdfast/lock";
import { openStories } from "holdfast/stories";

const { path, uid, gone, copy, out, calls: named } = JSON.parse(process.argv[2]);
if (gone !== undefined) {
  mkdirSync(gone);
  chdir(gone);
  rmdirSync(gone);
}
if (uid !== undefined) {
  process.setgid(uid);
  process.setuid(uid);
}
const opened = async (opening) => (await opening).close();
const calls = {
  open: () => opened(openStorage(path)),
  url: () => opened(openStorage({ url: `file:${path}` })),
  dataDir: () => opened(openStorage({ dataDir: path })),
  readOnly: () => opened(openStorage({ url: path, readOnly: true })),
  immutable: () => opened(openStorage({ url: path, readOnly: "immutable" })),
  replica: () => opened(openStorage({ url: `file:${path}`, syncUrl: "http://127.0.0.1:9" })),
  client: async () => createClient({ url: `file:${path}` }).close(),
  stories: () => opened(openStories({ backend: "libsql", path })),
  folder: () => opened(openStories({ backend: "filesystem", path })),
  check: async () => {
    const { findings } = await checkFile(path);
    throw findings.find(({ severity }) => severity === "error") ?? new Error("nothing found");
  },
  salvage: () => salvage(path, out),
  restore: () => restore(path, out),
  restoreTo: () => restore(copy, path),
  lock: async () => new FileLock(path).acquire(),
};
const errors = {};
for (const name of named) {
  const error = await calls[name]().then(
    () => undefined,
    (failure) => failure,
  );
  errors[name] = error === undefined ? "no error" : { code: error.code, message: error.message };
}
console.log(JSON.stringify(errors));
process.exit(0);
