import { type Token, tokens } from "../sql/parse.js";
import type { NativeDatabase, NativeStatement } from "./native.js";

const MAY_PRECEDE_PARENTHESIS = new Set(["WHERE", "AND", "NOT", "(", "="]);
const FORBIDDEN = new Set([
  "*",
  ";",
  "DISTINCT",
  "JOIN",
  "GROUP",
  "HAVING",
  "UNION",
  "INTERSECT",
  "EXCEPT",
  "OR",
  "IN",
]);

/**
 * A second form of a query that looks one row up by a unique key, for the binding's `get`: that costs two thirds of
 * `all`, but cannot say whether there was a second row. So this form has one more column, last, which is NULL unless
 * there is one. The query itself, run again inside, finds it: in the same snapshot, so the answer is right whatever
 * has become of the table and its indexes since. Its statement must be used by `get` only.
 *
 * Undefined where looking twice would cost more than it saves.
 */
export function prepareSingleRow(database: NativeDatabase, sql: string): NativeStatement | undefined {
  const form = singleRowForm(sql);
  try {
    if (form === undefined || !usesUniqueKey(database, sql)) return undefined;
    return database.prepare(form).raw(true).safeIntegers(true);
  } catch {
    // One column more than SQLite allows, say. The query itself is prepared already, and runs as it always did.
    return undefined;
  }
}

/**
 * The text of that form for `SELECT columns FROM one_table WHERE …` with plain `?` parameters; undefined for all else,
 * so also for whatever two evaluations could answer differently (functions, subqueries).
 */
export function singleRowForm(sql: string): string | undefined {
  const all = [...tokens(sql)];
  const words = all.map(({ text }) => text.toUpperCase());
  const from = words.indexOf("FROM");
  const where = words.indexOf("WHERE");
  if (words[0] !== "SELECT" || from === -1 || where < from || words.includes("SELECT", 1)) return undefined;
  if (words.some((word) => FORBIDDEN.has(word)) || words.slice(from, where).includes(",")) return undefined;
  if (words.some((word, at) => word === "(" && (at < where || !MAY_PRECEDE_PARENTHESIS.has(words[at - 1]!)))) {
    return undefined;
  }
  if (all.some(({ type, text }) => type === "parameter" && text !== "?")) return undefined;

  const query = numberParameters(sql, all);
  const head = numberParameters(sql, all.slice(0, from));
  return `${head}, (SELECT 1 FROM (${query}) LIMIT 1 OFFSET 1) ${query.slice(head.length)}`;
}

/** The text of these tokens, in which each `?` has its number and so means the same value in both copies. */
function numberParameters(sql: string, part: readonly Token[]): string {
  let text = "";
  let count = 0;
  let at = part[0]!.start;
  for (const token of part) {
    text += sql.slice(at, token.end);
    if (token.text === "?") text += ++count;
    at = token.end;
  }
  return text;
}

/** A hint about cost, no answer depends on it: whether the plan is one look-up by row id or in a unique index. */
function usesUniqueKey(database: NativeDatabase, sql: string): boolean {
  // `get`, since an EXPLAIN that is read with `all` would stay in progress.
  const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).raw(true).get([]) as [number, number, number, string];
  if (/ USING INTEGER PRIMARY KEY \(rowid=\?\)$/.test(plan[3])) return true;
  const [, index, terms] = / USING (?:COVERING )?INDEX (.+) \(([^()]+)\)$/.exec(plan[3]) ?? [];
  if (index === undefined || terms === undefined || /[<>]/.test(terms)) return false;
  const unique = database.prepare(
    `SELECT 1 FROM sqlite_schema s, pragma_index_list(s.tbl_name) l
     WHERE s.type = 'index' AND s.name = ?1 AND l.name = s.name AND l."unique"
       AND (SELECT count(*) FROM pragma_index_info(l.name)) = ?2`,
  );
  return unique.raw(true).get([index, BigInt(terms.split(" AND ").length)]) !== undefined;
}
