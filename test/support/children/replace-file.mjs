// Replaces `to` with a copy of `from` without its log, or makes `to` a hard link of `link`.
import { copyFileSync, linkSync, renameSync, rmSync } from "node:fs";

const { from, to, link } = JSON.parse(process.argv[2]);
if (link !== undefined) linkSync(link, to);
else {
  copyFileSync(from, `${to}.new`);
  for (const suffix of ["-wal", "-shm"]) rmSync(to + suffix, { force: true });
  renameSync(`${to}.new`, to);
}
process.exit(0);
