import { type Candidate, NEIGHBOUR_SPAN } from "./rank.js";
import type { KeywordSearchRequest, SearchReader, SearchTarget, SqlValue } from "./request.js";
import { namedSpeaker, speakerColumns } from "./speaker.js";

/** Of a longer search text, a window around its first rare word is ranked, not the whole. */
const WINDOW_CHARS = 8_000;
const WINDOW_LEAD_CHARS = 1_000;
/** A scoped English term and its space, on average. */
const CHARS_PER_TERM = 8.5;

/** A SELECT of `row_id` and `tier`. */
export interface FoundRows {
  readonly sql: string;
  readonly args: readonly SqlValue[];
}

export interface ReadOptions {
  /** The term, with its scope, around which a long text is read. */
  readonly windowTerm: string;
  /** The terms of the query: rows by a speaker of these names count more. */
  readonly names: ReadonlySet<string>;
  /** Whether the rows around the found ones come along. */
  readonly withNeighbors: boolean;
}

/** Where the values of a candidate are in a row; the last three only if neighbors come along. */
const AT = {
  rowId: 0,
  tier: 1,
  length: 2,
  searchText: 3,
  head: 4,
  metadata: 5,
  group: 6,
  position: 7,
  isShown: 8,
} as const;
/** The same where the sequence is a session. */
const IN_SESSION = { before: 6, after: 7, isShown: 8 } as const;

type Row = ArrayLike<unknown>;

/** The candidates with their terms; one statement. */
export async function readCandidates(
  reader: SearchReader,
  request: KeywordSearchRequest,
  found: FoundRows,
  options: ReadOptions,
): Promise<Candidate[]> {
  const { target } = request;
  const { table, rowId } = target;
  if (options.withNeighbors && target.session !== undefined) return readSessions(reader, request, found, options);
  if (options.withNeighbors && target.sequence !== undefined) return readSequence(reader, request, found, options);
  const rows = await reader.all(
    `SELECT m.${rowId}, c.tier, ${textColumns(target)} FROM (${found.sql}) c CROSS JOIN ${table} m ON m.${rowId} = c.row_id`,
    [options.windowTerm, ...found.args],
  );
  return rows.map((row) => toCandidate(row, target, options));
}

/** With the rows at the positions around each. A neighbor that the filter leaves out lends its words, but is not a result. */
async function readSequence(
  reader: SearchReader,
  { target, where, line }: KeywordSearchRequest,
  found: FoundRows,
  options: ReadOptions,
): Promise<Candidate[]> {
  const { table, rowId } = target;
  const { group, position } = target.sequence!;
  const sameLine =
    line === undefined
      ? ` CROSS JOIN ${table} n ON n.${group} = m.${group}`
      : ` CROSS JOIN json_each(?) s CROSS JOIN ${table} n ON n.${group} = s.value ->> 0 AND n.${position} <= s.value ->> 1`;
  const lineArgs = line === undefined ? [] : [JSON.stringify(line.map((part) => [part.group, part.upTo]))];
  const rows = await reader.all(
    `WITH found AS MATERIALIZED (${found.sql}),` +
      ` neighbors AS (SELECT n.${rowId} AS row_id, -1 AS tier FROM found CROSS JOIN ${table} m ON m.${rowId} = found.row_id` +
      sameLine +
      ` AND n.${position} BETWEEN m.${position} - ${NEIGHBOUR_SPAN} AND m.${position} + ${NEIGHBOUR_SPAN})` +
      ` SELECT m.${rowId}, c.tier, ${textColumns(target)}, ${line === undefined ? `m.${group}` : "0"}, m.${position}, c.tier >= 0 OR (${where.sql})` +
      " FROM (SELECT row_id, max(tier) AS tier FROM (SELECT * FROM found UNION ALL SELECT * FROM neighbors) GROUP BY row_id) c" +
      ` CROSS JOIN ${table} m ON m.${rowId} = c.row_id`,
    [...found.args, ...lineArgs, options.windowTerm, ...where.args],
  );
  return rows.map((row) => ({
    ...toCandidate(row, target, options),
    place: { group: Number(row[AT.group]), position: Number(row[AT.position]) },
    isNeighbor: Number(row[AT.tier]) < 0,
    isBystander: Number(row[AT.isShown]) === 0,
  }));
}

/**
 * With the rows of its session right before and after each. They are results only if they have a word of the query, and
 * the filter does not leave them out.
 */
async function readSessions(
  reader: SearchReader,
  { target, where }: KeywordSearchRequest,
  found: FoundRows,
  options: ReadOptions,
): Promise<Candidate[]> {
  const { table, rowId } = target;
  const { group, time, isOther } = target.session!;
  // In two parts, each a range of the index: by (time, id) together, SQLite would read all rows of one time.
  const neighborsOf = (sign: "<" | ">") => {
    const order = sign === "<" ? "DESC" : "ASC";
    const part = (condition: string) =>
      `SELECT row_id FROM (SELECT n.${rowId} AS row_id FROM ${table} n WHERE n.${group} = m.${group} AND ${isOther} AND ${condition}` +
      ` ORDER BY n.${time} ${order}, n.${rowId} ${order} LIMIT ${NEIGHBOUR_SPAN})`;
    const atOneTime = part(`n.${time} = m.${time} AND n.${rowId} ${sign} m.${rowId}`);
    const list = `${atOneTime} UNION ALL ${part(`n.${time} ${sign} m.${time}`)} LIMIT ${NEIGHBOUR_SPAN}`;
    return `CASE WHEN m.${group} IS NOT NULL THEN (SELECT json_group_array(row_id) FROM (${list})) END`;
  };
  const rows = await reader.all(
    `WITH found AS MATERIALIZED (SELECT f.row_id, f.tier, ${neighborsOf("<")} AS before, ${neighborsOf(">")} AS after` +
      ` FROM (${found.sql}) f CROSS JOIN ${table} m ON m.${rowId} = f.row_id),` +
      " neighbors AS (SELECT value AS row_id FROM found, json_each(found.before) UNION SELECT value FROM found, json_each(found.after))" +
      ` SELECT m.${rowId}, c.tier, ${textColumns(target)}, c.before, c.after, c.tier >= 0 OR (${where.sql})` +
      " FROM (SELECT * FROM found UNION ALL SELECT row_id, -1, NULL, NULL FROM neighbors WHERE row_id NOT IN (SELECT row_id FROM found)) c" +
      ` CROSS JOIN ${table} m ON m.${rowId} = c.row_id`,
    [...found.args, options.windowTerm, ...where.args],
  );
  const places = placesOf(rows);
  return rows.map((row) => ({
    ...toCandidate(row, target, options),
    place: places.get(Number(row[AT.rowId])),
    isNeighbor: Number(row[AT.tier]) < 0,
    isBystander: Number(row[IN_SESSION.isShown]) === 0,
    needsWord: true,
  }));
}

/** The places of rows in the runs that they and their neighbors make: rows of two runs may have others between them. */
function placesOf(rows: readonly Row[]): Map<number, { group: number; position: number }> {
  const next = new Map<number, number>();
  const hasPrevious = new Set<number>();
  for (const row of rows) {
    const before = toIds(row[IN_SESSION.before]).reverse();
    const run = [...before, Number(row[AT.rowId]), ...toIds(row[IN_SESSION.after])];
    for (let i = 1; i < run.length; i++) {
      next.set(run[i - 1]!, run[i]!);
      hasPrevious.add(run[i]!);
    }
  }
  const places = new Map<number, { group: number; position: number }>();
  for (const first of next.keys()) {
    if (hasPrevious.has(first)) continue;
    let position = 0;
    for (let row: number | undefined = first; row !== undefined; row = next.get(row)) {
      places.set(row, { group: first, position: position++ });
    }
  }
  return places;
}

function toIds(list: unknown): number[] {
  return typeof list === "string" ? (JSON.parse(list) as number[]) : [];
}

function textColumns(target: SearchTarget): string {
  const text = `m.${target.searchText}`;
  const window = `substr(${text}, max(1, instr(${text}, ?) - ${WINDOW_LEAD_CHARS}), ${WINDOW_CHARS})`;
  const isWhole = `length(${text}) <= ${WINDOW_CHARS}`;
  return `length(${text}), CASE WHEN ${isWhole} THEN ${text} ELSE ${window} END, ${speakerColumns(target, isWhole)}`;
}

function toCandidate(row: Row, target: SearchTarget, { names }: ReadOptions): Candidate {
  const searchText = String(row[AT.searchText]);
  return {
    rowId: Number(row[AT.rowId]),
    tier: Math.max(0, Number(row[AT.tier])),
    length: Number(row[AT.length]) / CHARS_PER_TERM,
    searchText,
    namedSpeaker: namedSpeaker(names, { head: row[AT.head], metadata: row[AT.metadata] }, target),
  };
}
