import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { tempDatabase } from "./temp.js";

/** Whether this process may mount. `withReadOnlyMount` needs it. */
export const canMount = process.getuid?.() === 0 && mounts();

/** Runs `work` with a second, read-only mount of the folder `dir`. */
export async function withReadOnlyMount<T>(dir: string, work: (mount: string) => Promise<T>): Promise<T> {
  await using temp = await tempDatabase();
  const mount = join(temp.dir, "mount");
  mkdirSync(mount);
  execFileSync("mount", ["--bind", dir, mount]);
  try {
    execFileSync("mount", ["-o", "remount,bind,ro", mount]);
    return await work(mount);
  } finally {
    execFileSync("umount", [mount]);
  }
}

function mounts(): boolean {
  try {
    execFileSync("sh", ["-c", "d=$(mktemp -d); mount --bind $d $d && umount $d; s=$?; rmdir $d; exit $s"], {
      stdio: "ignore",
    });
    return true;
  } catch {
    return false;
  }
}
