import type { Client } from "@libsql/client";
import { AREAS } from "../areas/registry.js";
import { LocalClient } from "../client/local/local-client.js";

const INDEXES = AREAS.flatMap(({ searchTargets }) => searchTargets.map(({ fts }) => fts));
/** Pages of an index that are merged in one transaction, which keeps other writers waiting for a few ms. */
const MERGE_PAGES = 64;
/** A step that changes less has found nothing to merge. */
const LEAST_CHANGES = 2;

/**
 * Removes from the file what has been purged: rows are overwritten when they are deleted, their index terms and the log
 * are left to this. Calls that come while one runs share the next one.
 *
 * (FTS5's own `secure-delete` leaves empty segments, which the integrity check of SQLite 3.45 calls malformed.)
 */
export class Eraser {
  readonly #client: Client;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Never rejects, since what it follows is stored: where it fails, the log is erased later, and terms by the next call. */
  erase(): Promise<void> {
    const client = this.#client;
    if (!(client instanceof LocalClient)) return Promise.resolve();
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      this.#running = run(client);
      return this.#running;
    });
    return this.#next;
  }
}

async function run(client: LocalClient): Promise<void> {
  for (const name of INDEXES) {
    try {
      await mergeWhole(client, name);
    } catch {
      // A file whose schema is not up to date lacks the table, and a busy one is for the next time.
    }
  }
  await client.eraseLog();
}

/** FTS5 marks terms as deleted, and drops them when it merges all segments into one: step by step. */
async function mergeWhole(client: LocalClient, name: string): Promise<void> {
  for (let pages = -MERGE_PAGES; ; pages = MERGE_PAGES) {
    const changes = await client.pool.writer.turn(async (connection) => {
      const before = totalChanges();
      await client.pool.writer.lock(connection);
      await connection.execOffThread(`INSERT INTO ${name}(${name}, rank) VALUES('merge', ${pages})`);
      connection.exec("COMMIT");
      client.pool.writer.countCommit();
      return totalChanges() - before;

      function totalChanges(): number {
        return Number(connection.query("SELECT total_changes()")[0]![0]);
      }
    });
    if (changes < LEAST_CHANGES) return;
  }
}
