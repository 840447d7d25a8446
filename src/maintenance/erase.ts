import { SEARCH_TARGETS } from "../areas/registry.js";
import type { EngineClient, LocalDatabase } from "../client/storage-client.js";

const INDEXES = SEARCH_TARGETS.map(({ fts }) => fts);
/** How many pages of an index to merge in one transaction, which keeps other writers waiting for a few ms. */
const MERGE_PAGES = 64;
/** A step with fewer changes than this found nothing to merge. */
const LEAST_CHANGES = 2;

/**
 * Erases purged records from the file. SQLite overwrites the rows when they are deleted; this erases their index terms
 * and the log. Calls during a run share the next run.
 *
 * (FTS5's own `secure-delete` leaves empty segments, which the integrity check of SQLite 3.45 calls malformed.)
 */
export class Eraser {
  readonly #client: LocalDatabase | undefined;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor({ local }: EngineClient) {
    this.#client = local;
  }

  /** Never rejects, since the purge is stored already. After a failure, the log is erased later, and terms by the next call. */
  erase(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return Promise.resolve();
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      this.#running = run(client);
      return this.#running;
    });
    return this.#next;
  }
}

async function run(client: LocalDatabase): Promise<void> {
  for (const name of INDEXES) {
    try {
      await mergeWhole(client, name);
    } catch {
      // An older schema lacks the table, and a busy file is left to the next call.
    }
  }
  await client.eraseLog();
}

/** FTS5 marks terms as deleted and drops them when it merges all segments into one. This merges step by step. */
async function mergeWhole(client: LocalDatabase, name: string): Promise<void> {
  for (let pages = -MERGE_PAGES; ; pages = MERGE_PAGES) {
    const changes = await client.pool.turn(async (connection) => {
      const before = totalChanges();
      await client.pool.lock(connection);
      await connection.execOffThread(`INSERT INTO ${name}(${name}, rank) VALUES('merge', ${pages})`);
      connection.commit();
      return totalChanges() - before;

      function totalChanges(): number {
        return Number(connection.query("SELECT total_changes()")[0]![0]);
      }
    });
    if (changes < LEAST_CHANGES) return;
  }
}
