import { LruCache } from "../../shared/lru-cache.js";

/**
 * What a statement does, as far as the engine must know before running it.
 *
 * `read` goes to a reader, and `write` to the writer inside BEGIN IMMEDIATE; the other kinds have special rules.
 */
export type StatementKind =
  | "read"
  | "write"
  | "pragma"
  | "vacuum"
  | "attach"
  | "detach"
  | "begin"
  | "commit"
  | "rollback"
  | "savepoint"
  | "release"
  | "rollbackTo"
  | "empty";

export interface ParsedStatement {
  readonly sql: string;
  /** Decided from the text. If SQLite shows that a supposed read writes, the session uses a copy of kind `write`. */
  kind: StatementKind;
  /** Of a savepoint statement: the name, lower-cased, since SQLite compares it without case. */
  readonly savepoint: string | undefined;
  /** How many values the statement takes: the highest parameter number. */
  readonly parameterCount: number;
  /** The named parameters, with their sigil (`:a` and `@a` are two), in order of their numbers. */
  readonly namedParameters: readonly NamedParameter[];
  /** Of a PRAGMA, or an EXPLAIN of one: what it asks for. */
  readonly pragma: Pragma | undefined;
  /** Of ATTACH and DETACH: the name of the database, or the number of the parameter that holds it. */
  readonly databaseName: string | number | undefined;
  /** Whether it asks for `last_insert_rowid()` or `changes()`, which only the writer connection knows. */
  readonly readsWriterState: boolean;
  /** Whether it may create a temporary table, which only the writer connection then sees. */
  readonly mayCreateTemporary: boolean;
  /** Whether it holds a `*`: its column names may change with the schema while its text does not. */
  readonly hasStar: boolean;
  /** Whether it only asks for a plan or a program. */
  readonly isExplain: boolean;
  /** Whether more SQL follows the first statement. */
  readonly hasTail: boolean;
}

interface NamedParameter {
  readonly name: string;
  readonly number: number;
}

/** What a PRAGMA asks for. */
export interface Pragma {
  /** In lower case, without schema and quotes. */
  readonly name: string;
  /** The value given, without quotes; undefined when there is none. */
  readonly value: string | undefined;
}

/** One statement of a script, with the offset at which it starts. */
export interface ScriptStatement {
  readonly sql: string;
  readonly offset: number;
}

type TokenType = "word" | "quoted" | "parameter" | "punctuation" | "literal";

export interface Token {
  readonly type: TokenType;
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

// SQLite's own tokens (sqlite3GetToken), as far as statement boundaries and parameters need them. An unclosed
// string, comment or identifier runs to the end, where SQLite will name the syntax error.
const TOKEN =
  /([ \t\n\f\r\ufeff]+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*(?:'|$))|("(?:[^"]|"")*(?:"|$)|`(?:[^`]|``)*(?:`|$)|\[[^\]]*(?:\]|$))|(\?\d*|[:@$#][\w$\u0080-\uffff]+(?:::[\w$\u0080-\uffff]*)*(?:\([^)\s]*\))?)|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|(\d[\w.]*)|([\s\S])/y;

/** The tokens of `sql`, without white space and comments. */
export function* tokens(sql: string, from = 0): Generator<Token> {
  TOKEN.lastIndex = from;
  for (let start = from; start < sql.length; ) {
    TOKEN.lastIndex = start;
    const match = TOKEN.exec(sql);
    if (match === null) return;
    const end = TOKEN.lastIndex;
    if (match[1] === undefined) yield { type: tokenType(match), text: match[0], start, end };
    start = end;
  }
}

function tokenType(match: RegExpExecArray): TokenType {
  if (match[5] !== undefined) return "word";
  if (match[3] !== undefined) return "quoted";
  if (match[4] !== undefined) return "parameter";
  return match[7] !== undefined ? "punctuation" : "literal";
}

// Texts over this length are parsed each time: caching them would let a few scripts fill the memory.
const MAX_CACHED_LENGTH = 32 * 1024;
const parsed = new LruCache<ParsedStatement>({ max: 2000 });

/** Reads what the engine must know of `sql`; remembered for the statements used lately. */
export function parseStatement(sql: string): ParsedStatement {
  const known = parsed.get(sql);
  if (known !== undefined) return known;
  const statement = parse(sql);
  if (sql.length <= MAX_CACHED_LENGTH) parsed.set(sql, statement);
  return statement;
}

/**
 * Splits a script at its semicolons; those inside the body of a trigger do not count.
 *
 * As SQLite's own shell does, a trigger's body ends at `; END ;`.
 */
export function splitScript(sql: string): ScriptStatement[] {
  const statements: ScriptStatement[] = [];
  let at = 0;
  while (at < sql.length) {
    const bounds = statementBounds(sql, at);
    if (bounds.start === undefined) break;
    statements.push({ sql: sql.slice(bounds.start, bounds.end), offset: bounds.start });
    at = bounds.next;
  }
  return statements;
}

function statementBounds(sql: string, from: number): { start: number | undefined; end: number; next: number } {
  let start: number | undefined;
  let end = from;
  let words = 0;
  let isTrigger = false;
  let previous = "";
  let beforePrevious = "";
  for (const token of tokens(sql, from)) {
    if (token.text === ";") {
      const isBodyEnd = previous === "END" && beforePrevious === ";";
      if (start !== undefined && (!isTrigger || isBodyEnd)) return { start, end, next: token.end };
    } else {
      start ??= token.start;
      end = token.end;
      words++;
      const word = token.text.toUpperCase();
      if (words <= 3 && word === "TRIGGER" && (previous === "CREATE" || beforePrevious === "CREATE")) isTrigger = true;
    }
    beforePrevious = previous;
    previous = token.type === "word" ? token.text.toUpperCase() : token.text;
  }
  return { start, end, next: sql.length };
}

const WRITER_STATE = new Set(["LAST_INSERT_ROWID", "CHANGES", "TOTAL_CHANGES"]);

function parse(sql: string): ParsedStatement {
  assertText(sql);
  const bounds = statementBounds(sql, 0);
  const all: Token[] = [];
  const names = new Map<string, number>();
  let parameterCount = 0;
  let readsWriterState = false;
  let hasStar = false;
  let previousWord = "";
  if (bounds.start !== undefined) {
    for (const token of tokens(sql, bounds.start)) {
      if (token.start >= bounds.end) break;
      all.push(token);
      if (token.type === "parameter") {
        if (token.text.startsWith("?")) {
          parameterCount =
            token.text === "?" ? parameterCount + 1 : Math.max(parameterCount, Number(token.text.slice(1)));
        } else if (!names.has(token.text)) {
          names.set(token.text, ++parameterCount);
        }
      } else if (token.text === "*") {
        // count(*) names no column.
        if (!(previousWord === "(" && all.at(-3)?.text.toUpperCase() === "COUNT")) hasStar = true;
      } else if (token.text === "(" && WRITER_STATE.has(previousWord)) {
        readsWriterState = true;
      }
      previousWord = token.text.toUpperCase();
    }
  }
  const isExplain = all[0]?.text.toUpperCase() === "EXPLAIN";
  return {
    sql,
    ...classify(all),
    parameterCount,
    namedParameters: [...names].map(([name, number]) => ({ name, number })),
    pragma: parsePragma(sql, isExplain ? withoutExplain(all) : all),
    databaseName: databaseName(all, names, parameterCount),
    readsWriterState,
    mayCreateTemporary: all[0]?.text.toUpperCase() === "CREATE" && all.some(isTemporary),
    hasStar,
    isExplain,
    hasTail: bounds.start !== undefined && statementBounds(sql, bounds.next).start !== undefined,
  };
}

/** The keyword, or the name of the schema, in quotes or not. */
function isTemporary(token: Token): boolean {
  return /^temp(orary)?$/i.test(unquote(token));
}

/** What a statement begins with, for a message about it. */
export function firstWord({ sql }: ParsedStatement): string {
  const [first] = tokens(sql);
  return first?.text.toUpperCase() ?? "";
}

function classify(all: readonly Token[]): { kind: StatementKind; savepoint: string | undefined } {
  const word = (index: number): string => all[index]?.text.toUpperCase() ?? "";
  const plain = (kind: StatementKind) => ({ kind, savepoint: undefined });
  /** The name at a place, before which there may be the word SAVEPOINT. */
  const named = (at: number) => nameOf(all[word(at) === "SAVEPOINT" && all[at + 1] !== undefined ? at + 1 : at]);
  switch (word(0)) {
    case "":
      return plain("empty");
    case "SELECT":
    case "VALUES":
    case "EXPLAIN":
      return plain("read");
    case "WITH":
      return plain(verbAfterWith(all));
    case "PRAGMA":
      return plain("pragma");
    case "VACUUM":
      return plain("vacuum");
    case "ATTACH":
      return plain("attach");
    case "DETACH":
      return plain("detach");
    case "BEGIN":
      return plain("begin");
    case "COMMIT":
    case "END":
      return plain("commit");
    case "SAVEPOINT":
      return { kind: "savepoint", savepoint: nameOf(all[1]) };
    case "RELEASE":
      return { kind: "release", savepoint: named(1) };
    case "ROLLBACK": {
      const to = word(1) === "TRANSACTION" ? 2 : 1;
      if (word(to) !== "TO") return plain("rollback");
      return { kind: "rollbackTo", savepoint: named(to + 1) };
    }
    default:
      return plain("write");
  }
}

/** `WITH … SELECT` reads, `WITH … INSERT` writes: the first verb outside of all parentheses tells. */
function verbAfterWith(all: readonly Token[]): StatementKind {
  let depth = 0;
  for (const token of all) {
    if (token.text === "(") depth++;
    else if (token.text === ")") depth--;
    else if (depth === 0 && token.type === "word") {
      const word = token.text.toUpperCase();
      if (word === "SELECT" || word === "VALUES") return "read";
      if (word === "INSERT" || word === "UPDATE" || word === "DELETE" || word === "REPLACE") return "write";
    }
  }
  return "read";
}

/** What the binding would change in silence: SQL ends at NUL, and a lone surrogate becomes U+FFFD. */
function assertText(sql: string): void {
  if (sql.includes("\0")) throw new RangeError("Expected SQL without NUL characters: it would end there");
  if (!sql.isWellFormed()) throw new RangeError("Expected SQL without lone surrogates: they have no UTF-8 form");
}

function withoutExplain(all: readonly Token[]): readonly Token[] {
  return all.slice(all[1]?.text.toUpperCase() === "QUERY" ? 3 : 1);
}

/** `PRAGMA [schema.]name`, `… = value` or `… (value)`. */
function parsePragma(sql: string, all: readonly Token[]): Pragma | undefined {
  if (all[0]?.text.toUpperCase() !== "PRAGMA") return undefined;
  const at = all[2]?.text === "." ? 3 : 1;
  const name = nameOf(all[at]) ?? "";
  const given = all.slice(at + 2, all[at + 1]?.text === "(" ? -1 : undefined);
  const [first] = given;
  if (first === undefined) return { name, value: undefined };
  return { name, value: given.length === 1 ? unquote(first) : sql.slice(first.start, given.at(-1)!.end) };
}

function databaseName(
  all: readonly Token[],
  names: ReadonlyMap<string, number>,
  parameterCount: number,
): string | number | undefined {
  const verb = all[0]?.text.toUpperCase();
  const last = all.at(-1);
  if (verb !== "ATTACH" && verb !== "DETACH") return undefined;
  if (last?.type !== "parameter") return nameOf(last);
  if (last.text === "?") return parameterCount;
  return names.get(last.text) ?? Number(last.text.slice(1));
}

/** A name as SQLite compares it: without quotes and case. */
function nameOf(token: Token | undefined): string | undefined {
  return token === undefined ? undefined : unquote(token).toLowerCase();
}

/** A name or a text as it is meant. */
export function unquote({ type, text }: Token): string {
  if (type !== "quoted" && !text.startsWith("'")) return text;
  const quote = text.at(-1)!;
  return text.slice(1, -1).replaceAll(quote + quote, quote);
}
