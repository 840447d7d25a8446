import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder of its own for one test, with the path and URL of a database in it that does not exist yet. */
export interface TempDatabase extends AsyncDisposable {
  readonly dir: string;
  readonly path: string;
  readonly url: `file:${string}`;
}

/** Makes the folder; `await using` removes it at the end of the test, with all that is in it. */
export async function tempDatabase(name = "test.db"): Promise<TempDatabase> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "holdfast-")));
  const path = join(dir, name);
  return {
    dir,
    path,
    url: `file:${path}`,
    async [Symbol.asyncDispose]() {
      // Processes that a test has killed may have others that write for a moment longer.
      rmSync(dir, { recursive: true, force: true, maxRetries: 50, retryDelay: 20 });
    },
  };
}
