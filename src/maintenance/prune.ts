import { setTimeout as sleep } from "node:timers/promises";
import { type SQL, sql } from "drizzle-orm";
import type { Area } from "../areas/area.js";
import { expectProject, toMillis } from "../areas/arguments.js";
import { transactionExecutor } from "../areas/client-executor.js";
import type { Executor } from "../areas/executor.js";
import { readAll } from "../areas/read-all.js";
import type { ChangeArea } from "../areas/registry.js";
import { AREAS, areasIn, selectAreas } from "../areas/registry.js";
import { toStatement } from "../areas/statements.js";
import { toStorageError } from "../client/storage-error.js";
import { StorageError } from "../shared/errors.js";
import { expectInteger, toBoolean } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import { checkLongCall, type LongCallOptions } from "../shared/long-call.js";
import type { MaintenanceContext } from "./context.js";
import { fullDiskError, isFullDisk, makeRoom, moveLog } from "./room.js";
import { reclaimSpace, STEP_MS } from "./space.js";

/** The limits of a prune. Each applies to every project and area separately. */
export interface PrunePolicy extends LongCallOptions {
  /** Only records of this project. @default all of them */
  readonly project?: string | undefined;
  /**
   * Only records of this area. @default memories, conversations and stories; sessions and the graph only if you name
   * them
   */
  readonly area?: ChangeArea | undefined;
  /** Remove records last changed before this; a Date or integer milliseconds. */
  readonly olderThan?: Date | number | undefined;
  /** The most records to keep, deleted ones included. */
  readonly maxRows?: number | undefined;
  /** The most bytes of content to keep, deleted records included. */
  readonly maxBytes?: number | undefined;
  /** Report what would be removed, and change nothing. @default false */
  readonly dryRun?: boolean | undefined;
}

/** What a prune removed, or would remove with `dryRun`. */
export interface PruneResult {
  readonly removed: readonly { readonly project: string; readonly area: ChangeArea; readonly rows: number }[];
  /** Of the removed contents. */
  readonly bytes: number;
  readonly dryRun: boolean;
}

/**
 * A prune that failed or was aborted after it had removed something. It has the code of the failure, or `ABORTED` and the
 * name of the abort's reason (`AbortError`, `TimeoutError`). The reason or the failure is the `cause`.
 */
export class PruneError extends StorageError {
  override readonly name: string;
  /** What was removed. */
  readonly removed: PruneResult["removed"];
  /** Of the removed contents, too. */
  readonly bytes: number;

  /** @internal */
  constructor(reason: unknown, removed: PruneResult["removed"], bytes: number) {
    const failure = reason instanceof StorageError ? reason : undefined;
    const rows = removed.reduce((sum, one) => sum + one.rows, 0);
    // "Nothing was stored" is about the step that failed.
    const ended = `The prune was ended: ${reason instanceof Error ? reason.message : String(reason)}`;
    const why = (failure?.message ?? ended).replace("; nothing was stored", "");
    super(failure?.code ?? "ABORTED", `${why}. ${rows} records had been removed by then; prune again for the rest`, {
      cause: reason,
      retryable: failure?.retryable ?? false,
      outcome: failure?.outcome,
    });
    this.name = failure === undefined && reason instanceof Error ? reason.name : "StorageError";
    this.removed = removed;
    this.bytes = bytes;
  }
}

/** A record to remove, unless it is changed before its turn. */
interface Candidate {
  readonly project: string;
  readonly rowId: number;
  readonly key: string;
  readonly id: string;
  readonly updatedAt: number;
  readonly bytes: number;
}

/**
 * Removes records for good until the limits are met: deleted ones first, then those that were changed longest ago.
 *
 * Works in short transactions, so that other writers get their turn within some 50 ms, and returns the space to the file
 * system in the same way. A record that is changed during the call stays. A failure or an abort does not bring removed
 * records back: the call then rejects with PruneError, which says what was removed.
 * Throws TypeError or RangeError before anything is removed, also if no limit is given.
 */
export async function pruneStorage(context: MaintenanceContext, policy: PrunePolicy): Promise<PruneResult> {
  const limits = resolvePolicy(policy);
  const removed = new Map<string, { project: string; area: ChangeArea; rows: number }>();
  const { dryRun = false, signal, onProgress } = policy;
  let bytes = 0;
  try {
    const plans = await plan(context, policy, limits);
    const total = plans.reduce((sum, { candidates }) => sum + candidates.length, 0);
    let done = 0;
    for (const { area, candidates } of plans) {
      const steps: AsyncIterable<readonly Candidate[]> | (readonly Candidate[])[] = dryRun
        ? [candidates]
        : removeInSteps(context, area, candidates, signal);
      for await (const gone of steps) {
        for (const { project, bytes: size } of gone) {
          const key = JSON.stringify([project, area.name]);
          const rows = (removed.get(key)?.rows ?? 0) + 1;
          removed.set(key, { project, area: area.name, rows });
          bytes += size;
        }
        done += gone.length;
        onProgress?.({ phase: "remove", done, total });
      }
    }
    if (!dryRun) {
      // First, since it frees pages; the pages that a vacuum writes to the log are in use.
      if (removed.size > 0) await context.erase();
      await reclaimSpace(context, policy);
    }
    return { removed: [...removed.values()], bytes, dryRun };
  } catch (error) {
    const failure = toStorageError(error);
    if (removed.size === 0 || dryRun) throw failure;
    throw new PruneError(failure, [...removed.values()], bytes);
  }
}

interface Limits {
  readonly olderThan: number;
  readonly maxRows: number;
  readonly maxBytes: number;
}

/** Replaces missing limits: 0 is older than everything, and the largest integer is never reached. */
function resolvePolicy(policy: PrunePolicy): Limits {
  expectKeys("prune", policy, [
    "project",
    "area",
    "olderThan",
    "maxRows",
    "maxBytes",
    "dryRun",
    "onProgress",
    "signal",
  ]);
  const { project, area, olderThan, maxRows, maxBytes, dryRun } = policy;
  if (project !== undefined) expectProject(project);
  selectAreas(area);
  if (olderThan === undefined && maxRows === undefined && maxBytes === undefined) {
    throw new TypeError("Expected `olderThan`, `maxRows` or `maxBytes`: without a limit there is nothing to prune");
  }
  const before = olderThan === undefined ? -Number.MAX_SAFE_INTEGER : toMillis("olderThan", olderThan);
  toBoolean("dryRun", dryRun);
  checkLongCall(policy);
  const limit = (name: string, value: number | undefined): number => {
    if (value === undefined || value === Number.POSITIVE_INFINITY) return Number.MAX_SAFE_INTEGER;
    expectInteger(name, value, 0);
    return value;
  };
  return {
    olderThan: before,
    maxRows: limit("maxRows", maxRows),
    maxBytes: limit("maxBytes", maxBytes),
  };
}

/** Finds the records to remove. Ranking may take long, so it runs off the main thread if possible. */
async function plan(context: MaintenanceContext, policy: PrunePolicy, limits: Limits) {
  const { executor } = context;
  // A snapshot is of the primary, since a read replica may lack records. A dry run asks the replica, to not need the primary.
  const isOfPrimary = executor.mayLag === true && policy.dryRun !== true;
  const snapshot = isOfPrimary ? await executor.snapshot() : undefined;
  try {
    return await planOn(snapshot?.executor ?? executor, policy, limits);
  } finally {
    snapshot?.close();
  }
}

async function planOn(executor: Executor, policy: PrunePolicy, limits: Limits) {
  const wanted = policy.area === undefined ? AREAS.filter((area) => area.isPrunedByDefault) : selectAreas(policy.area);
  const areas = await areasIn(executor, wanted);
  const plans: { area: Area<ChangeArea>; candidates: Candidate[] }[] = [];
  for (const area of areas) {
    policy.signal?.throwIfAborted();
    const query = toStatement(selectCandidates(area.prunable(policy.project), limits));
    const rows = await readAll(executor, query, "scan");
    const candidates = rows.map((row) => ({
      project: row.project as string,
      rowId: Number(row.row_id),
      key: row.key as string,
      id: row.id as string,
      updatedAt: Number(row.updated_at),
      bytes: Number(row.bytes),
    }));
    plans.push({ area, candidates });
  }
  return plans;
}

/** The records that are too old; then, of the others of a project, the first in order until the rest meets both limits. */
function selectCandidates(records: SQL, { olderThan, maxRows, maxBytes }: Limits): SQL {
  return sql`with records as materialized (${records}),
    young as (select * from records where updated_at >= ${olderThan}),
    ranked as (
      select *, row_number() over gone as n, sum(bytes) over gone - bytes as bytes_before from young
      window gone as (partition by project order by is_deleted desc, updated_at, row_id rows unbounded preceding)
    ),
    surplus as (
      select project as owner, count(*) - ${maxRows} as surplus_rows, sum(bytes) - ${maxBytes} as surplus_bytes
      from young group by project
    )
    select project, row_id, key, id, updated_at, bytes from (
      select project, row_id, key, id, updated_at, bytes, is_deleted from records where updated_at < ${olderThan}
      union all
      select project, row_id, key, id, updated_at, bytes, is_deleted from ranked join surplus on owner = project
        where n <= surplus_rows or bytes_before < surplus_bytes
    ) order by project, is_deleted desc, updated_at, row_id`;
}

/** How many records one statement reads. */
const CHUNK_RECORDS = 10;

/** Removes in transactions that end once they have held the write lock for some time; yields what each removed. */
async function* removeInSteps(
  context: MaintenanceContext,
  area: Area,
  candidates: readonly Candidate[],
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly Candidate[]> {
  if (candidates.length === 0) return;
  const client = context.client.local;
  // On a full disk, a step writes as little as possible, and returns the freed pages at once.
  let most = client === undefined || (await moveLog(client)) ? Number.POSITIVE_INFINITY : CHUNK_RECORDS;
  for (let at = 0; at < candidates.length; ) {
    signal?.throwIfAborted();
    const start = performance.now();
    let step: Step;
    try {
      step = await removeStep(context, area, candidates, at, most);
    } catch (error) {
      if (client === undefined || !isFullDisk(error)) throw error;
      if (most === 1) throw await fullDiskError(client, error);
      most = most > CHUNK_RECORDS ? CHUNK_RECORDS : 1;
      await makeRoom(client);
      continue;
    }
    at = step.next;
    for (const [project, ids] of idsByProject(step.gone)) {
      context.announce({ project, area: area.name, action: "purge", ids });
    }
    yield step.gone;
    if (client !== undefined && most !== Number.POSITIVE_INFINITY) {
      most = (await makeRoom(client)) ? Number.POSITIVE_INFINITY : most;
    }
    // Waiting writers try again after a few ms, and must not find the lock taken each time.
    await sleep(Math.min(STEP_MS, performance.now() - start));
  }
}

interface Step {
  readonly gone: readonly Candidate[];
  /** Where the next step begins. */
  readonly next: number;
}

/** One transaction, which ends once it has held the write lock for some time or read `most` records. */
async function removeStep(
  context: MaintenanceContext,
  area: Area,
  candidates: readonly Candidate[],
  from: number,
  most: number,
): Promise<Step> {
  const gone: Candidate[] = [];
  const end = Math.min(candidates.length, from + most);
  let at = from;
  const transaction = await context.client.transaction("write");
  const start = performance.now();
  try {
    const executor = transactionExecutor(transaction);
    do {
      const chunk = candidates.slice(at, Math.min(end, at + CHUNK_RECORDS));
      at += chunk.length;
      const wanted = JSON.stringify(chunk.map(({ rowId }) => rowId));
      const { rows } = await executor.execute(
        toStatement(sql`select row_id, updated_at from (${area.prunable(undefined)})
          where row_id in (select value from json_each(${wanted}))`),
      );
      const times = new Map(rows.map((row) => [Number(row.row_id), Number(row.updated_at)]));
      const same = chunk.filter(({ rowId, updatedAt }) => times.get(rowId) === updatedAt);
      for (const { project, key } of same) await area.remove(context.forProject(project, executor), key);
      gone.push(...same);
    } while (at < end && performance.now() - start < STEP_MS);
    await transaction.commit();
  } finally {
    transaction.close();
  }
  return { gone, next: at };
}

function idsByProject(candidates: readonly Candidate[]): Map<string, string[]> {
  const ids = new Map<string, string[]>();
  for (const { project, id } of candidates) {
    const own = ids.get(project) ?? [];
    own.push(id);
    ids.set(project, own);
  }
  return ids;
}
