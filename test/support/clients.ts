import { type ClientConfig, createClient, type PooledClient } from "holdfast/client";
import { expect, vi } from "vitest";
import { openNative } from "../../src/client/local/native.js";

/** Opens a client over `url` for one test. `await using` asserts that no connection is in use, and closes it. */
export function openTestClient(
  url: `file:${string}` | ":memory:",
  config: Omit<ClientConfig, "url"> = {},
): PooledClient & AsyncDisposable {
  const client = createClient({ ...config, url } as { url: ":memory:" });
  return Object.assign(client, {
    async [Symbol.asyncDispose]() {
      if (!client.closed) {
        // A turn ends after its call has resolved, and the engine also takes turns itself, for checkpoints.
        const inUse = () => {
          const { active, waiting } = client.stats().pool;
          return { active, waiting };
        };
        const isIdle = () => expect(inUse(), "connections left in use").toEqual({ active: 0, waiting: 0 });
        await vi.waitFor(isIdle, { timeout: 5000, interval: 1 }).finally(() => client.close());
      }
    },
  });
}

/** Waits until everything that is ready to run has run. */
export async function nextTurns(count = 3): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A second connection to the same file in this process, below every layer of the library. */
export function openSecond(path: string, setup: readonly string[] = []) {
  const database = openNative(path, {});
  for (const sql of setup) database.exec(sql);
  return {
    exec: (sql: string) => database.exec(sql),
    all: (sql: string, args: readonly (string | number | bigint | null)[] = []) =>
      database.prepare(sql).raw(true).all(args) as unknown[][],
    [Symbol.dispose]() {
      try {
        if (database.inTransaction) database.exec("ROLLBACK");
      } catch {
        // Closing also rolls back.
      }
      database.close();
    },
  };
}

/** Returns the error that a promise rejects with. Fails if the promise resolves. */
export async function rejection(promise: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  try {
    await promise;
  } catch (error) {
    return error as Error & Record<string, unknown>;
  }
  throw new Error("Expected a rejection");
}

/** All values of the first column. */
export async function column(client: Pick<PooledClient, "execute">, sql: string): Promise<unknown[]> {
  const { rows } = await client.execute(sql);
  return rows.map((row) => row[0]);
}
