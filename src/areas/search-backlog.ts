import type { InValue } from "@libsql/client";
import { mayBeIndexDamage } from "../client/storage-error.js";
import { BACKLOG } from "../search/keyword-search.js";
import type { KeywordSearchRequest, SearchTarget } from "../search/request.js";
import { textOf } from "../search/scan-packed.js";
import { searchScope, toGiven, toSearchTextInSlices } from "../search/terms.js";
import type { Executor } from "./executor.js";
import { halvedUntilItFits } from "./read-all.js";
import { isWriteRefused } from "./search-reader.js";
import { inParts, type Statement } from "./statements.js";
import { tablesIn } from "./tables.js";

// `search_backlog` has the rows that an index lacks, as ranges: those of a file of an earlier version, and rows that
// another program wrote without their terms.

/** Rows of a step: it holds the write lock for a few tens of ms. */
const STEP_ROWS = 500;
/** A step ends earlier after texts of so many characters. */
const STEP_CHARS = 1_000_000;

type Terms = readonly [rowId: number, terms: string];
type Range = readonly [first: number, last: number];

/**
 * Lets a search index the rows that the index of `target` lacks, in steps that let others write. If they cannot be stored,
 * the search reads the rows themselves.
 */
export function backlogOf(executor: Executor, target: SearchTarget): KeywordSearchRequest["backlog"] {
  return {
    sql: `EXISTS (SELECT 1 FROM ${BACKLOG} WHERE target = '${target.table}')`,
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
    `INSERT INTO ${BACKLOG} (target, first, last) SELECT '${table}', 0, ${rowId} FROM ${table} WHERE ${rowId} = (${last})`,
  ];
}

function giveTerms({ table, rowId, searchText }: SearchTarget, rows: readonly Terms[]): Statement[] {
  const sql = `UPDATE ${table} SET ${searchText} = j.value ->> 1 FROM json_each(?) AS j WHERE ${table}.${rowId} = j.value ->> 0`;
  return rows.length === 0 ? [] : inParts(rows, (part) => ({ sql, args: [JSON.stringify(part)] }));
}

async function* indexSteps(executor: Executor, target: SearchTarget): AsyncGenerator<number> {
  for (let seen = 0; ; ) {
    const count = await executor.atomically((locked) => indexSome(locked, target));
    if (count === undefined) return;
    seen += count;
    yield seen;
  }
}

/** Undefined if no row is left. */
async function indexSome(locked: Executor, target: SearchTarget): Promise<number | undefined> {
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
  return rows.length;
}

async function readTerms(locked: Executor, target: SearchTarget, [first, last]: Range) {
  const { table, rowId, content, hasNoTerms = "0" } = target;
  const { rows: stored, limit } = await halvedUntilItFits(STEP_ROWS, async (limit) => {
    const sql =
      `SELECT m.${rowId} AS row_id, m.project AS project, m.${content} AS content, ${hasNoTerms} AS has_none` +
      ` FROM ${table} m WHERE m.${rowId} BETWEEN ? AND ? ORDER BY m.${rowId} LIMIT ?`;
    return { rows: (await locked.execute({ sql, args: [first, last, limit] as InValue[] })).rows, limit };
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
  const sql = `SELECT first, last FROM ${BACKLOG} WHERE target = ? ORDER BY first LIMIT 1`;
  const row = (await executor.execute({ sql, args: [table] })).rows[0];
  return row && [Number(row.first), Number(row.last)];
}
