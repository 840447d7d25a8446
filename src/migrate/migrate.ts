import type { Client } from "@libsql/client";
import type { PooledClient } from "../client/pooled-client.js";
import { toStorageError } from "../errors.js";
import { applyLocally } from "./apply.js";
import { type Decision, decide, type MigrateResult, resultOf } from "./decision.js";
import { asRolledBack } from "./failure.js";
import { readJournal } from "./journal.js";
import { clientQuery } from "./ledger.js";
import { type MigrateOptions, resolveMigrateOptions } from "./options.js";
import { applyRemotely } from "./remote.js";
import { readScript, type Script } from "./script.js";

/**
 * Brings a database up to the last migration of a folder, or up to `to`.
 *
 * All that is pending is applied in one transaction, or nothing is; of many processes that start at once, one does
 * it and the others wait and find it done. A file that is up to date costs one read. Rejects with MIGRATION_FAILED,
 * MIGRATION_CHANGED, MIGRATION_UNKNOWN, MIGRATION_OUT_OF_ORDER or FOREIGN_LEDGER, and with BUSY when another process
 * kept the write lock for all of `lockTimeoutMs`; the file is then as it was before.
 */
export async function migrate(client: Client, options: MigrateOptions): Promise<MigrateResult> {
  const resolved = resolveMigrateOptions(options);
  const journal = readJournal(resolved.folder);
  try {
    const decision = await decide(clientQuery(client), journal, resolved);
    if (decision.pending.length === 0) return resultOf(journal, decision, []);
    // What must not run is refused before the lock is asked for.
    const scripts = readScripts(decision);
    const { pool } = client as Partial<PooledClient>;
    if (pool === undefined) return await applyRemotely(client, journal, scripts, resolved);
    return await applyLocally(pool, journal, scripts, resolved);
  } catch (error) {
    throw toStorageError(error);
  }
}

function readScripts({ pending, comparison }: Decision): Script[] {
  try {
    return pending.map((migration) => readScript(migration));
  } catch (error) {
    throw asRolledBack(error, comparison.last?.tag);
  }
}
