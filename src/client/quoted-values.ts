import { LibsqlBatchError, LibsqlError } from "@libsql/client/sqlite3";

/** Errors of what has no parameters, or none yet. */
const safe = new WeakSet<object>();
/** What SQLite says of a value: a MATCH that does not parse, a JSON path, a file to attach. Its other codes name columns. */
const MAY_QUOTE = /^(?:SQLITE_ERROR|SQLITE_UNKNOWN|SQL_)/;
const ATTACHED_FILE = /unable to open database: /;
const TEXT = "The message is left out, because it may quote a value";

/** Notes that the error of a script, or of preparing a statement, cannot quote the value of a parameter. */
export function quotesNoValue(error: unknown): unknown {
  if (error instanceof Error) safe.add(error);
  return error;
}

/** The error without its message and causes if these may quote the value of a parameter; otherwise the error itself. */
export function withoutValues(error: unknown): unknown {
  if (!(error instanceof LibsqlError) || !mayQuote(error)) return error;
  const { code, extendedCode, rawCode } = error;
  const copy =
    error instanceof LibsqlBatchError
      ? new LibsqlBatchError(TEXT, error.statementIndex, code, extendedCode, rawCode)
      : new LibsqlError(TEXT, code, extendedCode, rawCode);
  const head = `${copy.name}: ${copy.message}`;
  // The stack of the error gets its caller only after the message is sent.
  return Object.defineProperty(copy, "stack", {
    get: () => head + (/\n {4}at [\s\S]*/.exec(error.stack ?? "")?.[0] ?? ""),
    configurable: true,
  });
}

function mayQuote(error: LibsqlError): boolean {
  if (!MAY_QUOTE.test(error.code) && !ATTACHED_FILE.test(error.message)) return false;
  for (let at: unknown = error; at instanceof Error; at = at.cause) if (safe.has(at)) return false;
  return true;
}
