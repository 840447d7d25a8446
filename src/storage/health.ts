import { statSync } from "node:fs";
import type { Client, Row } from "@libsql/client";
import { getTableName, sql } from "drizzle-orm";
import type { ProjectTable } from "../areas/area.js";
import { scalar } from "../areas/executor.js";
import { AREAS, SEARCH_TARGETS } from "../areas/registry.js";
import { hasRange, isWaiting } from "../areas/search-backlog.js";
import { toStatement } from "../areas/statements.js";
import { tablesIn } from "../areas/tables.js";
import type { EngineClient } from "../client/storage-client.js";
import { toStorageError } from "../client/storage-error.js";
import { describePlace } from "../files/file-place.js";
import type { SearchTarget } from "../search/request.js";
import { StorageError } from "../shared/errors.js";

/** Figures of the database file. */
export interface FileStats {
  /** The number of applied migrations. */
  readonly schemaVersion: number;
  /** Bytes of the database file; 0 if it is remote or in memory. */
  readonly fileBytes: number;
  readonly walBytes: number;
  /** Unused pages of the file. */
  readonly freePages: number;
}

/** The state of a storage. */
export interface Health {
  /** Whether everything could be read, the full-text index exists, and the file is still the one that was opened. */
  readonly ok: boolean;
  /** The file, or the URL of a remote database. */
  readonly path: string;
  readonly schemaVersion: number;
  readonly tables: readonly { readonly table: string; readonly rows: number }[];
  readonly walBytes: number;
  readonly freePages: number;
  /** Whether the full-text indexes work. Without them, searches scan the rows. */
  readonly fts: boolean;
  /** The text of the storage's last failure, including failures of this call. Undefined if there was none. */
  readonly lastError: string | undefined;
  /**
   * The problem with the file's place, such as a network file system or a synchronized folder. Undefined if there is
   * none.
   */
  readonly place: string | undefined;
}

const TABLES: readonly ProjectTable[] = AREAS.flatMap(({ tables }) => tables);

/** Tables that only triggers write to, and that are gone. */
const LOST_HELPERS = `select helper from (select column1 as helper from (values ${[
  ...SEARCH_TARGETS.map(({ table }) => `${table}_replaced`),
  "search_backlog",
  "vector_versions",
]
  .map((name) => `('${name}')`)
  .join(", ")})) where not exists (select 1 from sqlite_schema where name = helper)
  and exists (select 1 from sqlite_schema where type = 'trigger' and instr(sql, helper) > 0)`;

const FIND_BACKLOG = "select exists (select 1 from sqlite_schema where name = 'search_backlog')";

export async function readFileStats(client: Client, path: string | undefined): Promise<FileStats> {
  const size = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  const isFile = path !== undefined && path !== ":memory:";
  const [freePages, ledger] = await client.batch(
    [
      "select freelist_count from pragma_freelist_count",
      "select count(*) from sqlite_schema where name = '__drizzle_migrations'",
    ],
    "read",
  );
  const hasLedger = Number(scalar(ledger!)) > 0;
  const applied = hasLedger ? scalar(await client.execute("select count(*) from __drizzle_migrations")) : 0;
  return {
    schemaVersion: Number(applied),
    fileBytes: isFile ? size(path) : 0,
    walBytes: isFile ? size(`${path}-wal`) : 0,
    freePages: Number(scalar(freePages!)),
  };
}

export async function readHealth(
  client: EngineClient,
  path: string,
  { lastError, problem }: { readonly lastError: unknown; readonly problem?: Error | undefined },
): Promise<Health> {
  const health = {
    ok: problem === undefined,
    path,
    schemaVersion: 0,
    tables: [] as { table: string; rows: number }[],
    walBytes: 0,
    freePages: 0,
  };
  let failure = problem ?? lastError;
  let isAway = false;
  const attempt = async (read: () => Promise<void>): Promise<boolean> => {
    // If the server did not answer once, do not wait for it again.
    if (isAway) return false;
    try {
      await read();
      return true;
    } catch (error) {
      health.ok = false;
      failure = toStorageError(error);
      isAway = failure instanceof StorageError && failure.code === "UNAVAILABLE";
      return false;
    }
  };
  await attempt(async () => {
    const { schemaVersion, walBytes, freePages } = await readFileStats(client, path);
    Object.assign(health, { schemaVersion, walBytes, freePages });
  });
  let hasBacklog = false;
  await attempt(async () => {
    const count = async (tables: readonly ProjectTable[]) => {
      const counts = tables.map((table) => toStatement(sql`select count(*) from ${table}`));
      const [lost, backlog, ...results] = await client.batch([LOST_HELPERS, FIND_BACKLOG, ...counts], "read");
      hasBacklog = Number(scalar(backlog!)) === 1;
      for (const [index, result] of results.entries()) {
        health.tables.push({ table: getTableName(tables[index]!), rows: Number(scalar(result)) });
      }
      const names = lost!.rows.map((row) => String(row[0]));
      if (names.length > 0) throw new Error(`The table ${names.join(" and ")} is gone, so writes fail: run reindex`);
    };
    try {
      await count(TABLES);
    } catch (error) {
      const known = await tablesIn(client);
      const present = TABLES.filter((table) => known.has(getTableName(table)));
      if (present.length === TABLES.length) throw error;
      await count(present);
      throw error;
    }
  });
  const fts = await attempt(async () => {
    const looks = SEARCH_TARGETS.map(({ fts }) => `(select rowid from ${fts} where ${fts} match 'holdfast' limit 1)`);
    const stales = SEARCH_TARGETS.map((target) => isStale(target, hasBacklog));
    const [, stale] = await client.batch([`select ${looks.join(", ")}`, `select ${stales.join(", ")}`], "read");
    const names = SEARCH_TARGETS.filter((_, at) => Number((stale!.rows[0] as Row)[at]) > 0).map(({ fts }) => fts);
    if (names.length > 0) throw new Error(`The full-text index ${names.join(" and ")} is stale: run reindex`);
  });
  // This check is last, so that its failure becomes `lastError`.
  await attempt(async () => client.local?.assertInPlace());
  const place = client.local === undefined ? undefined : describePlace(path);
  return { ...health, fts, lastError: failure === undefined ? undefined : describe(failure), place };
}

/** Compares counts, which is fast: finds missing and surplus rows of an index, and terms of rows that do not exist. */
function isStale(target: SearchTarget, hasBacklog: boolean): string {
  const { table, rowId, searchText, fts } = target;
  const waiting = hasBacklog ? ` - (select count(*) from ${table} m where ${isWaiting(target)})` : "";
  // The next search indexes the rows of ranges with an end.
  const isDue = hasBacklog ? hasRange(target) : "false";
  return `(((select count(*) from ${table})${waiting} <> (select count(*) from ${fts}_docsize) and not ${isDue}) or exists (
    select 1 from ${table} as unindexed join ${fts}_docsize as size on size.id = unindexed.${rowId}
    where unindexed.${searchText} is null and substr(size.sz, 1, 1) <> x'00'))`;
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
