import { AREAS, areasIn, noteMissed } from "../areas/registry.js";
import { noteAll } from "../areas/search-backlog.js";
import { quoteName } from "../client/sql/quote.js";
import { poolOf } from "../client/storage-client.js";
import { asStorageErrors, mayBeIndexDamage } from "../client/storage-error.js";
import { lockedTurn } from "../migrate/lock.js";
import { restoreObjects } from "../migrate/missing-objects.js";
import type { SearchTarget } from "../search/request.js";
import { StorageError } from "../shared/errors.js";
import { expectKeys } from "../shared/known-keys.js";
import { checkLongCall, type LongCallOptions } from "../shared/long-call.js";
import type { MaintenanceContext } from "./context.js";
import type { Finding, Repair } from "./findings.js";
import { findContentIndexes } from "./full-text-check.js";

/** What a reindex did. */
export interface ReindexResult {
  /** The full-text tables that were rebuilt. */
  readonly tables: string[];
}

/** What a repair did. */
export interface RepairResult {
  readonly repaired: Finding[];
  /** The findings that have no repair. */
  readonly left: Finding[];
}

const LOCK_TIMEOUT_MS = 60_000;

/** Rebuilds the full-text indexes from the contents; see `Storage.reindex`. */
export async function reindexStorage(context: MaintenanceContext, options: LongCallOptions): Promise<ReindexResult> {
  expectKeys("reindex", options, ["onProgress", "signal"]);
  checkLongCall(options);
  return asStorageErrors(async () => {
    await makeMissing(context);
    return await reindexTables(context, options);
  });
}

/** The same for a database in which no table is missing. */
export async function reindexTables(
  context: Pick<MaintenanceContext, "client" | "executor">,
  { onProgress, signal }: LongCallOptions,
): Promise<ReindexResult> {
  const indexes = await findContentIndexes(context.executor);
  const rebuildAll = async () => {
    for (const [place, { name, target }] of indexes.entries()) {
      signal?.throwIfAborted();
      onProgress?.({ phase: "full text", done: place, total: indexes.length });
      if (target === undefined) await rebuild(context, name);
    }
    onProgress?.({ phase: "full text", done: indexes.length, total: indexes.length });
  };
  const rederiveAll = async () => {
    for (const area of await areasIn(context.executor, AREAS)) {
      for await (const seen of area.rederive(context.executor)) {
        signal?.throwIfAborted();
        onProgress?.({ phase: `terms of ${area.name}`, done: seen, total: seen });
      }
    }
  };
  for (const { name, target } of indexes) if (target !== undefined) await empty(context, name, target);
  try {
    await rederiveAll();
  } catch (error) {
    if (!mayBeIndexDamage(error)) throw error;
    // An update removes the old terms of a row from an index with external content, which must have them.
    await rebuildAll();
    await rederiveAll();
  }
  await rebuildAll();
  return { tables: indexes.map(({ name }) => name) };
}

/** Makes the repairs of findings, which lose nothing; see `Storage.repair`. */
export async function repairStorage(
  context: MaintenanceContext,
  findings: readonly Finding[],
  options: LongCallOptions,
): Promise<RepairResult> {
  if (!Array.isArray(findings)) throw new TypeError("Expected `findings` to be the findings of a check");
  const known: readonly (Repair | undefined)[] = ["reindex", "triggers", undefined];
  for (const finding of findings as readonly Finding[]) {
    if (typeof finding !== "object" || finding === null || !known.includes(finding.repair)) {
      throw new TypeError("Expected `findings` to be the findings of a check");
    }
  }
  expectKeys("repair", options, ["onProgress", "signal"]);
  checkLongCall(options);
  const repaired = findings.filter(({ repair }) => repair !== undefined);
  const left = findings.filter(({ repair }) => repair === undefined);
  const damage = left.find(({ code }) => code === "CORRUPT" || code === "NOT_A_DATABASE");
  if (damage !== undefined && repaired.length > 0) {
    throw new StorageError(
      "CORRUPT",
      `Nothing is written to a damaged file: ${damage.message}. Restore a backup or salvage it, then check again`,
    );
  }
  // Missing tables are made and filled. A stale index needs a reindex only if nothing was missing.
  if (repaired.some(({ repair }) => repair === "triggers")) await makeMissing(context);
  if (repaired.some(({ repair }) => repair === "reindex")) await reindexStorage(context, options);
  return { repaired, left };
}

async function makeMissing({ client, migrations }: MaintenanceContext): Promise<void> {
  for (const set of migrations) {
    await restoreObjects(client, { ...set, lockTimeoutMs: LOCK_TIMEOUT_MS }, noteMissed);
  }
}

/** Rebuilds an index from its content table. One that cannot be read is first replaced by an empty one. */
async function rebuild(context: Pick<MaintenanceContext, "client">, name: string): Promise<void> {
  const quoted = quoteName(name);
  const fill = `INSERT INTO ${quoted}(${quoted}) VALUES('rebuild')`;
  try {
    await runOffThread(context, name, [fill]);
  } catch (error) {
    if (!mayBeIndexDamage(error)) throw error;
    await runOffThread(context, name, [...emptied(name, EMPTY), fill]);
  }
}

/**
 * Empties an index that keeps no content, and notes in the same transaction that it lacks every row: searches and
 * `rederive` fill it again. Rows that another process indexed between the two would not be noted any more.
 */
async function empty(context: Pick<MaintenanceContext, "client">, name: string, target: SearchTarget): Promise<void> {
  const quoted = quoteName(name);
  const clear = [`INSERT INTO ${quoted}(${quoted}) VALUES('delete-all')`, ...noteAll(target)];
  try {
    await runOffThread(context, name, clear);
  } catch (error) {
    if (!mayBeIndexDamage(error)) throw error;
    await runOffThread(context, name, [...emptied(name, EMPTY_CONTENTLESS), ...clear]);
  }
}

/** The state of a new FTS5 table: no segments. */
const EMPTY = "x'00000000000000'";
const EMPTY_CONTENTLESS = "x'00000000FF000001000000'";

function emptied(name: string, state: string): string[] {
  const shadow = (part: string) => quoteName(`${name}_${part}`);
  return [
    ...["data", "idx", "docsize"].map((part) => `DELETE FROM ${shadow(part)}`),
    `INSERT INTO ${shadow("data")} (id, block) VALUES (1, x''), (10, ${state})`,
  ];
}

/** Rebuilds in one transaction, off the main thread: a search sees the old index or the new one. */
async function runOffThread(
  { client }: Pick<MaintenanceContext, "client">,
  name: string,
  statements: readonly string[],
): Promise<void> {
  const pool = poolOf(client);
  if (pool === undefined) {
    await client.batch([...statements], "write");
    return;
  }
  const wait = { lockTimeoutMs: LOCK_TIMEOUT_MS, logger: undefined, purpose: `rebuild ${name}` };
  await lockedTurn(pool, wait, async (connection) => {
    for (const statement of statements) await connection.execOffThread(statement);
    connection.commit();
  });
}
