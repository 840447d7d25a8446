import { LRUCache } from "lru-cache";

/**
 * What a statement does, as far as the engine must know before running it.
 *
 * `read` goes to a reader; `write` to the writer inside BEGIN IMMEDIATE; the rest has rules of its own.
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
  /** Decided from the text; set to `write` when SQLite shows that a supposed read writes. */
  kind: StatementKind;
  /** Of a savepoint statement: the name, lower-cased, since SQLite compares it without case. */
  readonly savepoint: string | undefined;
  /** How many values the statement takes: the highest parameter number. */
  readonly parameterCount: number;
  /** Parameter names without their sigil, with the number of the parameter. Absent when all are `?`. */
  readonly parameterNames: ReadonlyMap<string, number> | undefined;
  /** Whether some parameter has no name (`?` or `?3`), so that named arguments cannot fill it. */
  readonly hasAnonymousParameters: boolean;
  /** Whether it asks for `last_insert_rowid()` or `changes()`, which only the writer connection knows. */
  readonly readsWriterState: boolean;
  /** Whether it holds a `*`: its column names may change with the schema while its text does not. */
  readonly hasStar: boolean;
  /** Whether it only asks for a plan or a program. */
  readonly isExplain: boolean;
  /** Whether more SQL follows the first statement. */
  readonly hasTail: boolean;
}

/** One statement of a script, with the offset at which it starts. */
export interface ScriptStatement {
  readonly sql: string;
  readonly offset: number;
}

type TokenType = "word" | "quoted" | "parameter" | "punctuation" | "literal";

interface Token {
  readonly type: TokenType;
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

// SQLite's own tokens (sqlite3GetToken), as far as statement boundaries and parameters need them. An unclosed
// string, comment or identifier runs to the end, where SQLite will name the syntax error.
const TOKEN =
  /(\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*(?:'|$))|("(?:[^"]|"")*(?:"|$)|`(?:[^`]|``)*(?:`|$)|\[[^\]]*(?:\]|$))|(\?\d*|[:@$#][\w$\u0080-\uffff]+(?:::[\w$\u0080-\uffff]*)*(?:\([^)\s]*\))?)|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|(\d[\w.]*)|([\s\S])/y;

function* tokens(sql: string, from = 0): Generator<Token> {
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
const parsed = new LRUCache<string, ParsedStatement>({ max: 2000 });

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
  const bounds = statementBounds(sql, 0);
  const all: Token[] = [];
  const names = new Map<string, number>();
  let parameterCount = 0;
  let hasAnonymousParameters = false;
  let readsWriterState = false;
  let hasStar = false;
  let previousWord = "";
  if (bounds.start !== undefined) {
    for (const token of tokens(sql, bounds.start)) {
      if (token.start >= bounds.end) break;
      all.push(token);
      if (token.type === "parameter") {
        if (token.text.startsWith("?")) {
          hasAnonymousParameters = true;
          parameterCount =
            token.text === "?" ? parameterCount + 1 : Math.max(parameterCount, Number(token.text.slice(1)));
        } else {
          const name = token.text.slice(1);
          if (!names.has(name)) names.set(name, ++parameterCount);
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
  return {
    sql,
    ...classify(all),
    parameterCount,
    parameterNames: names.size > 0 ? names : undefined,
    hasAnonymousParameters,
    readsWriterState,
    hasStar,
    isExplain: all[0]?.text.toUpperCase() === "EXPLAIN",
    hasTail: bounds.start !== undefined && statementBounds(sql, bounds.next).start !== undefined,
  };
}

function classify(all: readonly Token[]): { kind: StatementKind; savepoint: string | undefined } {
  const word = (index: number): string => all[index]?.text.toUpperCase() ?? "";
  const plain = (kind: StatementKind) => ({ kind, savepoint: undefined });
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
      return { kind: "savepoint", savepoint: savepointName(all[1]) };
    case "RELEASE":
      return {
        kind: "release",
        savepoint: savepointName(all[word(1) === "SAVEPOINT" && all[2] !== undefined ? 2 : 1]),
      };
    case "ROLLBACK": {
      const to = word(1) === "TRANSACTION" ? 2 : 1;
      if (word(to) !== "TO") return plain("rollback");
      const named = word(to + 1) === "SAVEPOINT" && all[to + 2] !== undefined ? to + 2 : to + 1;
      return { kind: "rollbackTo", savepoint: savepointName(all[named]) };
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

function savepointName(token: Token | undefined): string | undefined {
  if (token === undefined) return undefined;
  const text = token.type === "quoted" || token.text.startsWith("'") ? token.text.slice(1, -1) : token.text;
  return text.toLowerCase();
}
