import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A separate folder for one test, with the path and URL of a database in it that does not exist yet. */
export interface TempDatabase extends AsyncDisposable {
  readonly dir: string;
  readonly path: string;
  readonly url: `file:${string}`;
}

/** Creates the folder. `await using` removes it with its content at the end of the test. */
export async function tempDatabase(name = "test.db"): Promise<TempDatabase> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "holdfast-")));
  const path = join(dir, name);
  return {
    dir,
    path,
    url: `file:${path}`,
    async [Symbol.asyncDispose]() {
      await removeFolder(dir);
    },
  };
}

/** Processes that a test has killed may have child processes that write for a moment longer. */
async function removeFolder(dir: string): Promise<void> {
  for (let left = 50; ; left--) {
    try {
      return rmSync(dir, { recursive: true, force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOTEMPTY" || left === 0) throw error;
      await sleep(20);
    }
  }
}
