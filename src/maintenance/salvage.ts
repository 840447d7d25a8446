import { getTableName } from "drizzle-orm";
import { AREAS, type ChangeArea } from "../areas/registry.js";
import { asFileError } from "../files/file-error.js";
import { syncFile } from "../files/folders.js";
import { assertFree, createEmpty, makeNextTo, pathTaken, placeFile, removeDatabase } from "../files/place-file.js";
import { StorageError, type StorageErrorCode } from "../shared/errors.js";
import { type ClosedFileOptions, resolveOptions, whyUnusable } from "./closed-file.js";
import { assertNotInUse } from "./in-use.js";
import { resolveDatabase, resolveFile } from "./paths.js";
import { runReadingChild } from "./reading-child.js";
import type { SalvagedTable, SalvageMessage } from "./salvage-child.js";

/** The key is that of the source, and so of the new file. */
export interface SalvageOptions extends ClosedFileOptions {}

/** How many records of an area were saved and lost. */
export interface SalvagedArea {
  readonly area: ChangeArea;
  /** Records in the new file. */
  readonly saved: number;
  /** So many records at least are lost: the damaged file shows that it had them. */
  readonly lost: number;
  /**
   * So many at most: 0 means that nothing is lost. Where damage has hit the table and its indexes, every row id that was
   * ever given counts, those of records that were removed for good among them; null where not even these are known.
   */
  readonly lostAtMost: number | null;
}

/** What a salvage saved, and what it did not. */
export interface SalvageResult {
  readonly path: string;
  /**
   * Records by area, deleted ones included: memories, sessions, conversations with their messages, nodes and edges,
   * stories with preferences, entries of the sync queue and secrets.
   */
  readonly areas: readonly SalvagedArea[];
  /** Rows of every table that was copied: those of the areas and their parts, and the caller's own. */
  readonly tables: readonly SalvagedTable[];
  /** Tables, indexes, views and triggers of the caller's own that are not in the new file. */
  readonly notSaved: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * Copies what can be read of a damaged database into the new file `destination`, and tells what it got.
 *
 * A separate process reads the file page by page, so that neither a damaged tree nor text that is not UTF-8 ends the
 * reading; rows whose tree is damaged are found by their pages. A record that fails its checksum is lost. A story
 * falls back to its newest whole revision, a conversation closes around lost messages, and what refers to a lost record
 * goes with it. The caller's own tables are copied with their indexes, views and triggers. Indexes are made again. Whatever
 * is damaged is lost alone: no row, value or definition makes the call fail.
 *
 * The source is left as it is, to the byte. `destination` appears by its name once it is complete. Rejects with
 * NOT_FOUND without a source, EXISTS if `destination` is taken, IN_USE while the source is open anywhere, and
 * NOT_A_DATABASE where nothing of it can be read: another key, or page 1 of an encrypted file is gone.
 */
export async function salvage(
  path: string | URL,
  destination: string | URL,
  options: SalvageOptions = {},
): Promise<SalvageResult> {
  const source = resolveDatabase("path", path);
  const target = resolveFile("destination", destination);
  const settled = resolveOptions("salvage", options);
  try {
    const failure = whyUnusable(source, `file ${source}`);
    if (failure !== undefined) throw failure;
    assertFree(target);
    await assertNotInUse(source);
    return await makeNextTo(target, async (temporary) => {
      const found = await run(source, temporary, settled);
      await syncFile(temporary);
      settled.signal?.throwIfAborted();
      assertFree(target);
      if (!(await placeFile(temporary, target))) throw pathTaken(target);
      await removeDatabase(temporary);
      return { path: target, areas: toAreas(found.tables), ...found };
    });
  } catch (error) {
    throw asFileError(error, `Cannot salvage ${source}`);
  }
}

async function run(
  source: string,
  temporary: string,
  { encryptionKey, onProgress, signal }: SalvageOptions,
): Promise<Pick<SalvageResult, "tables" | "notSaved">> {
  createEmpty(temporary);
  let result: Pick<SalvageResult, "tables" | "notSaved"> | undefined;
  const order = { source, target: temporary };
  const options = { encryptionKey, signal };
  try {
    const { reason } = await runReadingChild<SalvageMessage>({ call: "salvage", order }, options, (message) => {
      if ("phase" in message) onProgress?.(message);
      else if ("tables" in message) result = message;
      else throw new StorageError(message.error.code as StorageErrorCode, explain(message.error, source));
    });
    if (result !== undefined) return result;
    throw new StorageError(
      "CORRUPT",
      `Nothing was salvaged from ${source}: the process that read it ended (${reason})`,
    );
  } finally {
    // A killed child leaves its copy of an encrypted file.
    await removeDatabase(`${temporary}.source`);
  }
}

function explain({ code, message }: { readonly code: string; readonly message: string }, source: string): string {
  if (code !== "NOT_A_DATABASE") return message;
  return `Nothing can be read of ${source}: it is not a database, its encryption key is another one, or the first page of an encrypted file is lost. Restore a backup`;
}

function toAreas(tables: readonly SalvagedTable[]): SalvagedArea[] {
  return AREAS.map(({ name, recordTables }) => {
    const names = recordTables.map((table) => getTableName(table));
    const own = tables.filter(({ table }) => names.includes(table));
    const sum = (count: (table: SalvagedTable) => number) => own.reduce((total, table) => total + count(table), 0);
    return {
      area: name,
      saved: sum(({ saved }) => saved),
      lost: sum(({ lost }) => lost),
      lostAtMost: own.some(({ lostAtMost }) => lostAtMost === null) ? null : sum(({ lostAtMost }) => lostAtMost ?? 0),
    };
  });
}
