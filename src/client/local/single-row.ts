import { type Token, tokens, unquote } from "../sql/parse.js";
import { quoteText } from "../sql/quote.js";
import type { NativeDatabase, NativeStatement } from "./native.js";

const MAY_PRECEDE_PARENTHESIS = new Set(["WHERE", "AND", "NOT", "(", "="]);
const FORBIDDEN = new Set([";", "DISTINCT", "JOIN", "GROUP", "HAVING", "UNION", "INTERSECT", "EXCEPT", "OR", "IN"]);

/**
 * A second form of a query that looks one row up by a unique key, for the binding's `get`: that costs two thirds of
 * `all`, but cannot say whether there was a second row. So this form has one more column, last, which is NULL unless
 * there is one. The query itself, run again inside, finds it: in the same snapshot, so the answer is right whatever
 * has become of the table and its indexes since. Its statement must be used by `get` only.
 *
 * The columns behind a `*` follow the table. So the last column of such a form is also not NULL once the table is not
 * the same any more: that costs a tenth of asking for the version of the schema after each call.
 *
 * Undefined where looking twice would cost more than it saves.
 */
export function prepareSingleRow(database: NativeDatabase, sql: string): NativeStatement | undefined {
  try {
    const form = singleRowForm(sql, (table) => sameTable(database, table));
    if (form === undefined || !usesUniqueKey(database, sql)) return undefined;
    return database.prepare(form).raw(true).safeIntegers(true);
  } catch {
    // One column more than SQLite allows, say. The query itself is prepared already, and runs as it always did.
    return undefined;
  }
}

/**
 * The text of that form for `SELECT columns FROM one_table WHERE …` with plain `?` parameters; undefined for all else,
 * so also for whatever two evaluations could answer differently (functions, subqueries). `sameTable` gives the condition
 * that the table is the same, for a `*`.
 */
export function singleRowForm(
  sql: string,
  sameTable: (table: readonly Token[]) => string | undefined,
): string | undefined {
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
  const hasSecond = `(SELECT 1 FROM (${query}) LIMIT 1 OFFSET 1)`;
  if (!words.includes("*")) return `${head}, ${hasSecond} ${query.slice(head.length)}`;
  const isSame = sameTable(all.slice(from + 1, where));
  if (isSame === undefined) return undefined;
  return `${head}, CASE WHEN ${isSame} THEN ${hasSecond} ELSE 1 END ${query.slice(head.length)}`;
}

/**
 * The condition that a table is defined as it is now, and that no temporary table hides it. Undefined for anything else
 * than a table of the main database.
 */
function sameTable(database: NativeDatabase, tokensOfTable: readonly Token[]): string | undefined {
  const [first, dot, second] = tokensOfTable;
  const isQualified = dot?.text === ".";
  if (isQualified && unquote(first!).toLowerCase() !== "main") return undefined;
  const name = isQualified ? second : first;
  if (name === undefined) return undefined;
  const found = database
    .prepare(
      `SELECT rowid, sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE
         AND NOT EXISTS (SELECT 1 FROM temp.sqlite_schema)`,
    )
    .raw(true)
    .get([unquote(name)]) as [number, string] | undefined;
  if (found === undefined) return undefined;
  const [rowid, sql] = found;
  return `(SELECT sql FROM main.sqlite_schema WHERE rowid = ${rowid}) = ${quoteText(sql)} AND NOT EXISTS (SELECT 1 FROM temp.sqlite_schema)`;
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
