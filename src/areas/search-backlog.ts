import type { InValue } from "@libsql/client";
import { mayBeIndexDamage } from "../client/storage-error.js";
import { BACKLOG } from "../search/keyword-search.js";
import type { Backlog, SearchTarget } from "../search/request.js";
import { textOf } from "../search/scan-packed.js";
import { searchScope, toGiven, toSearchTextInSlices } from "../search/terms.js";
import type { RepositoryContext } from "./context.js";
import type { Executor } from "./executor.js";
import { halvedUntilItFits } from "./read-all.js";
import { isWriteRefused } from "./search-reader.js";
import { inParts, type Statement } from "./statements.js";
import { tablesIn } from "./tables.js";

// `search_backlog` has the rows that an index lacks, as ranges: those of a file of an earlier version, and rows that
// another program wrote without their terms. One more range has no end: new rows are stored without terms, and those from
// its first on that the index lacks wait to be indexed, many at a time (`LateIndexer`).

/** Rows of a step: it holds the write lock for a few tens of ms. */
const STEP_ROWS = 500;
/** A step ends earlier after texts of so many characters. */
const STEP_CHARS = 1_000_000;
/** The end of the range without one. Earlier versions index and remove it like any other. */
export const OPEN_END = Number.MAX_SAFE_INTEGER;
/** With more rows than this from the first that waits on, a search indexes those that wait before it starts. */
const MOST_WAITING = 2_000;

type Terms = readonly [rowId: number, terms: string];
type Range = readonly [first: number, last: number];

/**
 * Lets a search read the rows that wait to be indexed, and index them where there are many, in steps that let others
 * write. If they cannot be stored, the search reads all rows.
 */
export function backlogOf({ executor, indexer }: RepositoryContext, target: SearchTarget): Backlog {
  const { table, rowId } = target;
  return {
    count:
      `(SELECT CASE WHEN count(*) > ${MOST_WAITING} OR ${hasRange(target)} THEN -1` +
      ` ELSE count(*) FILTER (WHERE ${isNotIndexed(target, "latest")}) END` +
      ` FROM (SELECT m.${rowId} FROM ${table} m WHERE ${isInOpenRange(target)} LIMIT ${MOST_WAITING + 1}) latest)`,
    isWaiting: isWaiting(target),
    indexLater: (count) => indexer?.noticed(target, count),
    async index() {
      if (executor.refusesWrites === true) return false;
      try {
        for await (const _ of indexSteps(executor, target));
        return true;
      } catch (error) {
        // `health` and `check` report a damaged index.
        if (!isWriteRefused(error) && !mayBeIndexDamage(error)) throw error;
        return false;
      }
    },
  };
}

/** The condition that the backlog has a range with an end. */
export function hasRange({ table }: SearchTarget): string {
  return `EXISTS (SELECT 1 FROM ${BACKLOG} WHERE target = '${table}' AND last < ${OPEN_END})`;
}

function isInOpenRange({ table, rowId }: SearchTarget): string {
  return `m.${rowId} >= (SELECT ifnull(min(first), ${OPEN_END}) FROM ${BACKLOG} WHERE target = '${table}' AND last = ${OPEN_END})`;
}

function isNotIndexed({ rowId, fts }: SearchTarget, alias = "m"): string {
  return `NOT EXISTS (SELECT 1 FROM ${fts}_docsize d WHERE d.id = ${alias}.${rowId})`;
}

/** The condition on the alias `m` to be a row that waits to be indexed with others. */
export function isWaiting(target: SearchTarget): string {
  return `${isInOpenRange(target)} AND ${isNotIndexed(target)}`;
}

/** Indexes the rows of the backlog, or of a table whose rows keep their terms. Each step yields the number of rows read so far. */
export async function* rederiveTerms(executor: Executor, target: SearchTarget): AsyncGenerator<number> {
  yield* (await tablesIn(executor)).has(BACKLOG) ? indexSteps(executor, target) : rederiveRows(executor, target);
}

/** For a file of an earlier version. */
async function* rederiveRows(executor: Executor, target: SearchTarget): AsyncGenerator<number> {
  let seen = 0;
  for (let after = 0; ; ) {
    const { rows, isLast } = await executor.atomically(async (locked) => {
      const found = await readTerms(locked, target, [after + 1, Number.MAX_SAFE_INTEGER]);
      await locked.batch(giveTerms(target, found.rows));
      return found;
    });
    seen += rows.length;
    yield seen;
    if (isLast) return;
    after = rows.at(-1)![0];
  }
}

/**
 * The statements that have every row of an index indexed again whose table or triggers were missing, or that may have
 * been in a lost backlog: it may have missed changes. `made` are the objects that were created again.
 */
export function noteMissedIn(
  targets: readonly SearchTarget[],
  made: readonly { readonly name: string }[],
  has: (table: string) => boolean,
): string[] {
  if (!has(BACKLOG)) return [];
  const isOf = ({ fts, table }: SearchTarget, name: string) =>
    name === BACKLOG || name.startsWith(fts) || name === `${table}_content`;
  return targets.filter((target) => has(target.table) && made.some(({ name }) => isOf(target, name))).flatMap(noteAll);
}

/** The statements after which every row of the table counts as not indexed. */
export function noteAll({ table, rowId }: SearchTarget): string[] {
  const last = `SELECT max(${rowId}) FROM ${table}`;
  return [
    `DELETE FROM ${BACKLOG} WHERE target = '${table}'`,
    `INSERT INTO ${BACKLOG} (target, first, last) SELECT '${table}', (SELECT min(0, min(${rowId})) FROM ${table}), ${rowId}` +
      ` FROM ${table} WHERE ${rowId} = (${last})`,
  ];
}

function giveTerms({ table, rowId, searchText }: SearchTarget, rows: readonly Terms[]): Statement[] {
  const sql = `UPDATE ${table} SET ${searchText} = j.value ->> 1 FROM json_each(?) AS j WHERE ${table}.${rowId} = j.value ->> 0`;
  return rows.length === 0 ? [] : inParts(rows, (part) => ({ sql, args: [JSON.stringify(part)] }));
}

/** Indexes the rows of the backlog. Each step is a transaction, and yields the number of rows read so far. */
export async function* indexSteps(executor: Executor, target: SearchTarget, keepsOpen = false): AsyncGenerator<number> {
  for (let seen = 0; ; ) {
    const { count, isLast } = await executor.atomically(
      async (locked) => (await indexRange(locked, target)) ?? (await indexWaiting(locked, target, keepsOpen)),
    );
    seen += count;
    if (count > 0) yield seen;
    if (isLast) return;
  }
}

interface Step {
  readonly count: number;
  readonly isLast: boolean;
}

/** Indexes rows of a range with an end. Undefined if there is none. */
async function indexRange(locked: Executor, target: SearchTarget): Promise<Step | undefined> {
  const range = await nextRange(locked, target);
  if (range === undefined) return undefined;
  const { rows, isLast } = await readTerms(locked, target, range);
  const { table } = target;
  const [first, last] = range;
  const statements = giveTerms(target, rows);
  const remove = `DELETE FROM ${BACKLOG} WHERE target = ? AND first = ? AND last = ?`;
  statements.push({ sql: remove, args: [table, first, last] });
  if (!isLast) {
    // A range of one row would pass for a row that another program wrote.
    const insert = `INSERT OR IGNORE INTO ${BACKLOG} (target, first, last) VALUES (?, ?, ?)`;
    statements.push({ sql: insert, args: [table, Math.min(rows.at(-1)![0] + 1, last - 1), last] });
  }
  await locked.batch(statements);
  return { count: rows.length, isLast: false };
}

/**
 * Indexes rows that wait. After the last, the range without an end is removed, or, with `keepsOpen`, it begins after them,
 * if there is one.
 */
async function indexWaiting(locked: Executor, target: SearchTarget, keepsOpen: boolean): Promise<Step> {
  const { table } = target;
  const { rows, isLast } = await readTerms(locked, target, isWaiting(target));
  const statements = insertTerms(target, rows);
  const open = `target = '${table}' AND last = ${OPEN_END}`;
  if (isLast && !keepsOpen) statements.push({ sql: `DELETE FROM ${BACKLOG} WHERE ${open}`, args: [] });
  else {
    const next = isLast ? after(target) : String(rows.at(-1)![0] + 1);
    const move = `UPDATE OR REPLACE ${BACKLOG} SET first = ${next} WHERE ${open} AND first <> ${next}`;
    statements.push({ sql: move, args: [] }, ...(keepsOpen ? [openBacklog(target)] : []));
  }
  await locked.batch(statements);
  return { count: rows.length, isLast };
}

/** Lets new rows be stored without their terms, from the next one on. */
export function openBacklog(target: SearchTarget): Statement {
  const { table } = target;
  const isOpen = `EXISTS (SELECT 1 FROM ${BACKLOG} WHERE target = '${table}' AND last = ${OPEN_END})`;
  return {
    sql: `INSERT INTO ${BACKLOG} (target, first, last) SELECT '${table}', ${after(target)}, ${OPEN_END} WHERE NOT ${isOpen}`,
    args: [],
  };
}

/** The row id after the last row. */
function after({ table, rowId }: SearchTarget): string {
  return `min(coalesce((SELECT max(${rowId}) FROM ${table}), 0) + 1, ${OPEN_END})`;
}

/** Writes to the index alone, which is faster than a trigger for each row. */
function insertTerms(
  { table, rowId, fts, searchText, indexed = [] }: SearchTarget,
  rows: readonly Terms[],
): Statement[] {
  if (rows.length === 0) return [];
  const columns = ["rowid", searchText, ...indexed].join(", ");
  const values = [`m.${rowId}`, "j.value ->> 1", ...indexed.map((name) => `m.${name}`)].join(", ");
  const sql = `INSERT INTO ${fts} (${columns}) SELECT ${values} FROM json_each(?) j CROSS JOIN ${table} m ON m.${rowId} = j.value ->> 0`;
  return inParts(rows, (part) => ({ sql, args: [JSON.stringify(part)] }));
}

async function readTerms(locked: Executor, target: SearchTarget, which: Range | string) {
  const { table, rowId, content, hasNoTerms = "0" } = target;
  const isText = typeof which === "string";
  const { rows: stored, limit } = await halvedUntilItFits(STEP_ROWS, async (limit) => {
    const sql =
      `SELECT m.${rowId} AS row_id, m.project AS project, m.${content} AS content, ${hasNoTerms} AS has_none` +
      ` FROM ${table} m WHERE ${isText ? which : `m.${rowId} BETWEEN ? AND ?`} ORDER BY m.${rowId} LIMIT ?`;
    const args: InValue[] = isText ? [limit] : [...which, limit];
    return { rows: (await locked.execute({ sql, args })).rows, limit };
  });
  const rows: Terms[] = [];
  let chars = 0;
  for (const row of stored) {
    if (chars > STEP_CHARS) return { rows, isLast: false };
    const text = Number(row.has_none) === 1 ? "" : textOf(row.content, target);
    chars += text.length;
    rows.push([Number(row.row_id), toGiven(await toSearchTextInSlices(text, searchScope(String(row.project))))]);
  }
  return { rows, isLast: stored.length < limit };
}

async function nextRange(executor: Executor, { table }: SearchTarget): Promise<Range | undefined> {
  const sql = `SELECT first, last FROM ${BACKLOG} WHERE target = ? AND last < ${OPEN_END} ORDER BY first LIMIT 1`;
  const row = (await executor.execute({ sql, args: [table] })).rows[0];
  return row && [Number(row.first), Number(row.last)];
}
