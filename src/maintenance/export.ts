import { Readable } from "node:stream";
import type { Transaction } from "@libsql/client";
import { sql } from "drizzle-orm";
import type { Area, Reader } from "../areas/area.js";
import { expectProject } from "../areas/arguments.js";
import { transactionExecutor } from "../areas/client-executor.js";
import { scalar } from "../areas/executor.js";
import type { ChangeArea } from "../areas/registry.js";
import { areasIn, selectAreas } from "../areas/registry.js";
import { toStatement } from "../areas/statements.js";
import { toStorageError } from "../client/storage-error.js";
import { expectKeys } from "../shared/known-keys.js";
import { checkLongCall, type LongCallOptions } from "../shared/long-call.js";
import type { MaintenanceContext } from "./context.js";

/** The version of the format: a reader refuses a later one. */
export const EXPORT_VERSION = 1;
export const EXPORT_FORMAT = "holdfast";

/** The first line of an export. */
export interface ExportHeader {
  readonly format: typeof EXPORT_FORMAT;
  readonly version: number;
  readonly exportedAt: string;
  /** Lines that follow, by area. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Which records an export has. */
export interface ExportOptions extends LongCallOptions {
  /** Only records of this project. @default all of them */
  readonly project?: string | undefined;
  /** Only records of this area. @default all of them */
  readonly area?: ChangeArea | undefined;
}

/**
 * Everything of a storage as JSON Lines: a header, then one line a record, `{ area, project, record }`, deleted ones
 * included. A stream of strings, each a line with its end.
 *
 * All of it is of one moment: a read transaction is open from the first line to the last, so read on, or destroy the
 * stream. However much there is, only a page of it is in memory, but for a database that is in memory itself.
 * Throws TypeError or RangeError on wrong options; the stream fails with StorageError, or with the reason of an abort.
 */
export function exportStorage(context: MaintenanceContext, options: ExportOptions = {}): Readable {
  expectKeys("export", options, ["project", "area", "onProgress", "signal"]);
  checkLongCall(options);
  if (options.project !== undefined) expectProject(options.project);
  const areas = selectAreas(options.area);
  return Readable.from(exportLines(context, areas, options));
}

async function* exportLines(
  context: MaintenanceContext,
  areas: readonly Area<ChangeArea>[],
  options: ExportOptions,
): AsyncGenerator<string> {
  options.signal?.throwIfAborted();
  const transaction = await context.client.transaction("read").catch(rethrow);
  const lines = linesOf(transaction, areas, options);
  try {
    // The only connection must not wait for the stream's reader, which may wait for the connection.
    if (context.path === ":memory:") {
      const kept: string[] = [];
      for await (const line of lines) kept.push(line);
      transaction.close();
      yield* kept;
    } else yield* lines;
  } catch (error) {
    rethrow(error);
  } finally {
    transaction.close();
  }
}

async function* linesOf(
  transaction: Transaction,
  areas: readonly Area<ChangeArea>[],
  { project, onProgress, signal }: ExportOptions,
): AsyncGenerator<string> {
  const reader = transactionExecutor(transaction);
  const present = await areasIn(reader, areas);
  const counts = await count(reader, present, project);
  const header: ExportHeader = {
    format: EXPORT_FORMAT,
    version: EXPORT_VERSION,
    exportedAt: new Date().toISOString(),
    counts,
  };
  const total = Object.values(counts).reduce((sum, rows) => sum + rows, 0);
  let done = 0;
  onProgress?.({ phase: "records", done, total });
  yield `${JSON.stringify(header)}\n`;
  for (const area of present) {
    for await (const records of area.pages(reader, project)) {
      signal?.throwIfAborted();
      for (const one of records) yield `${JSON.stringify({ area: area.name, ...one })}\n`;
      done += records.length;
      onProgress?.({ phase: "records", done, total });
    }
  }
}

async function count(reader: Reader, areas: readonly Area<ChangeArea>[], project: string | undefined) {
  const counts: Record<string, number> = {};
  for (const { name, table } of areas) {
    const where = project === undefined ? sql`` : sql` where project = ${project}`;
    counts[name] = Number(scalar(await reader.execute(toStatement(sql`select count(*) from ${table}${where}`))));
  }
  return counts;
}

function rethrow(error: unknown): never {
  throw toStorageError(error);
}
