import { type SQL, sql } from "drizzle-orm";
import { expectation, expectFinite, expectText } from "../shared/expectation.js";
import { stringify } from "./arguments.js";

/** Bounds of a value: numbers by size, texts by code point. A value of another type than the bound is outside. */
export interface Bounds {
  /** The value must be greater. */
  readonly gt?: number | string | undefined;
  /** The value must be greater or equal. */
  readonly gte?: number | string | undefined;
  /** The value must be less. */
  readonly lt?: number | string | undefined;
  /** The value must be less or equal. */
  readonly lte?: number | string | undefined;
}

const OPERATORS = { gt: sql.raw(">"), gte: sql.raw(">="), lt: sql.raw("<"), lte: sql.raw("<=") } as const;
/** SQLite joins no more than 64 tables. */
const MAX_PATH = 32;

/**
 * Whether a JSON document holds the value at a path. Keys are compared through json_each, since a path of SQLite's
 * could not name every key. Types must agree: 1 is not "1". Objects are equal whatever the order of their keys.
 */
export function jsonEquals(document: SQL, path: readonly string[], name: string, given: unknown): SQL {
  // A Date, say, was stored as its JSON, and is compared as that.
  const value = typeof given === "object" && given !== null ? parsed(name, given) : given;
  switch (typeof value) {
    case "string":
      expectText(name, value, Number.POSITIVE_INFINITY, 0);
      return atPath(document, path, (entry) => sql`${entry}.type = 'text' and ${entry}.value = ${value}`);
    case "number":
      return atPath(document, path, (entry) => compareNumber(entry, sql.raw("="), name, value));
    case "boolean":
      return atPath(document, path, (entry) => sql`${entry}.type = ${String(value)}`);
    case "object": {
      if (value === null) return atPath(document, path, (entry) => sql`${entry}.type = 'null'`);
      const json = JSON.stringify(value);
      return atPath(document, path, (entry) => {
        // Text that is not JSON must not fail, in whatever order SQLite evaluates the conditions.
        const own = sql`(case when ${entry}.type in ('object', 'array') then ${entry}.value end)`;
        // Another order of keys leaves the length as it is, and only then the trees are worth reading.
        const isReordered = sql`length(${own}) = length(${json}) and ${contentsOf(own)} = ${contentsOf(sql`${json}`)}`;
        return sql`(${own} = ${json} or ${isReordered})`;
      });
    }
    default:
      throw new TypeError(`Expected \`${name}\` to be a JSON value, got ${typeof value}`);
  }
}

/** As it would be stored; undefined where JSON has nothing for it. */
function parsed(name: string, given: object): unknown {
  const text = stringify(name, given);
  return text === undefined ? undefined : JSON.parse(text);
}

/** Everything in a JSON text with its path and type, as a text that does not depend on the order of keys. */
function contentsOf(json: SQL): SQL {
  return sql`(select json_group_array(json_array(fullkey, type, atom))
    from (select fullkey, type, atom from json_tree(${json}) order by fullkey, type, atom))`;
}

/** Whether the value at a path of a JSON document is within bounds. */
export function jsonWithin(document: SQL, path: readonly string[], name: string, bounds: Bounds): SQL {
  const tests = Object.entries(bounds).filter(([, bound]) => bound !== undefined);
  return atPath(document, path, (entry) => {
    const conditions = tests.map(([operator, bound]) => {
      const own = `${name}.${operator}`;
      const sign = OPERATORS[operator as keyof Bounds];
      if (typeof bound === "number") return compareNumber(entry, sign, own, bound);
      expectText(own, bound, Number.POSITIVE_INFINITY, 0);
      return sql`${entry}.type = 'text' and ${entry}.value ${sign} ${bound}`;
    });
    return sql.join([sql`true`, ...conditions], sql` and `);
  });
}

/** Whether a value of a filter means bounds; throws TypeError where it mixes them with other keys. */
export function isBounds(name: string, value: unknown): value is Bounds {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const keys = Object.keys(value);
  const operators = keys.filter((key) => Object.hasOwn(OPERATORS, key));
  const isMixed = operators.length > 0 && operators.length < keys.length;
  if (isMixed || (operators.length === 0 && operatorsIn(value).length > 0)) {
    const expected = `a value, or bounds of ${Object.keys(OPERATORS).join(", ")} alone`;
    throw new TypeError(
      `${expectation(name, expected, value)} with the keys ${keys.join(", ")}. A value in an object of the data has its own path: ${JSON.stringify(`${name.replace(/^where\./, "")}.${keys[0]}`)}`,
    );
  }
  return operators.length > 0;
}

/** Not `min`, `max` and the like, which are names in data as well. */
const OPERATOR =
  /^(?:gte?|lte?|eq|neq?|\$[a-z]+|[<>=!]+|not|(?:not)?equals?|(?:greater|less)than(?:orequals?)?|contains|(?:starts|ends)with|i?like|regexp?)$/i;
const LIST_OPERATOR = /^(?:in|nin|notIn|between)$/i;

/** The keys of an object of operators, as other libraries have them; empty for any other value. */
export function operatorsIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  const entries = Object.entries(value);
  const areOperators = entries.every(
    ([key, operand]) => OPERATOR.test(key) || (LIST_OPERATOR.test(key) && Array.isArray(operand)),
  );
  return areOperators ? entries.map(([key]) => key) : [];
}

/** The keys of a path with dots between; a dot within a key is written `\.`, a backslash `\\`. */
export function parsePath(path: string): string[] {
  const keys = [""];
  for (const part of path.match(/\\[.\\]|[^.\\]+|[\s\S]/g) ?? []) {
    if (part === ".") keys.push("");
    else keys[keys.length - 1] += /^\\[.\\]$/.test(part) ? part.slice(1) : part;
  }
  if (keys.length > MAX_PATH) throw new RangeError(expectation(path, `a path of at most ${MAX_PATH} keys`, path));
  return keys;
}

/** As JSON text, so that both sides are read alike: 2 ** 60 is an integer to SQLite. */
function compareNumber(entry: SQL, sign: SQL, name: string, value: number): SQL {
  expectFinite(name, value);
  const bound = sql`json_extract(${JSON.stringify(value)}, '$')`;
  return sql`${entry}.type in ('integer', 'real') and ${entry}.value ${sign} ${bound}`;
}

function atPath(document: SQL, path: readonly string[], test: (entry: SQL) => SQL): SQL {
  const joins = path.map((key, index) => {
    const entry = sql.raw(`entry${index}`);
    const parent = sql.raw(`entry${index - 1}`);
    // json_each would fail on text that is not JSON. The index of a list is a number.
    const source =
      index === 0 ? document : sql`case when ${parent}.type in ('object', 'array') then ${parent}.value else '{}' end`;
    return { from: sql`json_each(${source}) as ${entry}`, where: sql`cast(${entry}.key as text) = ${key}` };
  });
  const from = sql.join(
    joins.map((join) => join.from),
    sql` cross join `,
  );
  const where = sql.join([...joins.map((join) => join.where), test(sql.raw(`entry${path.length - 1}`))], sql` and `);
  return sql`exists (select 1 from ${from} where ${where})`;
}
