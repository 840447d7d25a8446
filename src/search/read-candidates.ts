import { type Candidate, lengthOf, NEIGHBOUR_SPAN } from "./rank.js";
import type { KeywordSearchRequest, SearchReader, SearchTarget, SqlValue } from "./request.js";
import { textOf } from "./scan-packed.js";
import { namedSpeaker, speakerColumn } from "./speaker.js";
import { toSearchText } from "./terms.js";

/** Of a longer text, a window around its first rare word is ranked, not the whole. */
const WINDOW_CHARS = 5_400;
const WINDOW_LEAD_CHARS = 700;

/** A SELECT of `row_id` and `tier`. */
export interface FoundRows {
  readonly sql: string;
  readonly args: readonly SqlValue[];
}

export interface ReadOptions {
  /** The term around which a long text is read. */
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
  content: 3,
  metadata: 4,
  group: 5,
  position: 6,
  isShown: 7,
} as const;
/** The same where the sequence is a session. */
const IN_SESSION = { before: 5, after: 6, isShown: 7 } as const;

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
    [...windowArgs(options), ...found.args],
  );
  return rows.map((row) => toCandidate(row, request, options));
}

/** With the rows at the positions around each. A neighbor that the filter leaves out lends its words, but is not a result. */
async function readSequence(
  reader: SearchReader,
  request: KeywordSearchRequest,
  found: FoundRows,
  options: ReadOptions,
): Promise<Candidate[]> {
  const { target, where, line } = request;
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
    [...found.args, ...lineArgs, ...windowArgs(options), ...where.args],
  );
  return rows.map((row) => ({
    ...toCandidate(row, request, options),
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
  request: KeywordSearchRequest,
  found: FoundRows,
  options: ReadOptions,
): Promise<Candidate[]> {
  const { target, where } = request;
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
    [...found.args, ...windowArgs(options), ...where.args],
  );
  const places = placesOf(rows);
  return rows.map((row) => ({
    ...toCandidate(row, request, options),
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

/** The length of the content, and the content or a window of it. A packed one cannot be cut before it is unpacked. */
function textColumns(target: SearchTarget): string {
  const text = `m.${target.content}`;
  const start = `coalesce(nullif(instr(lower(${text}), ' ' || ?), 0), instr(lower(${text}), ?))`;
  const window = `substr(${text}, max(1, ${start} - ${WINDOW_LEAD_CHARS}), ${WINDOW_CHARS})`;
  const isWhole = `length(${text}) <= ${WINDOW_CHARS}`;
  const isRead = target.unpack === undefined ? isWhole : `(${isWhole} OR typeof(${text}) = 'blob')`;
  return `length(${text}), CASE WHEN ${isRead} THEN ${text} ELSE ${window} END, ${speakerColumn(target, isWhole)}`;
}

/** The term as a text has it: a stem may end with an "i" that is a "y" there. */
function windowArgs({ windowTerm }: ReadOptions): SqlValue[] {
  const start = windowTerm.length > 2 ? windowTerm.replace(/i$/, "") : windowTerm;
  return [start, start];
}

function toCandidate(row: Row, { target, scope }: KeywordSearchRequest, { names, windowTerm }: ReadOptions): Candidate {
  const stored = row[AT.content];
  const read = textOf(stored, target);
  const chars = typeof stored === "string" ? Number(row[AT.length]) : read.length;
  const isWhole = chars <= WINDOW_CHARS;
  const text = isWhole || typeof stored === "string" ? read : windowOf(read, windowTerm);
  const searchText = toSearchText(text, scope);
  const share = isWhole ? 1 : text.length / chars;
  return {
    rowId: Number(row[AT.rowId]),
    tier: Math.max(0, Number(row[AT.tier])),
    length: lengthOf(searchText) / share,
    searchText,
    namedSpeaker: isWhole ? namedSpeaker(names, { text, metadata: row[AT.metadata] }) : undefined,
  };
}

function windowOf(text: string, term: string): string {
  const at = text.toLowerCase().indexOf(term);
  return text.slice(Math.max(0, at - WINDOW_LEAD_CHARS)).slice(0, WINDOW_CHARS);
}
