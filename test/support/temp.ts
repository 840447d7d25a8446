import { mkdtempSync, realpathSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

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
      // Processes that a test has killed may have child processes that write for a moment longer.
      await rm(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
    },
  };
}
