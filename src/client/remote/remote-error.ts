import { LibsqlBatchError, LibsqlError } from "@libsql/client/sqlite3";
import { withoutCode } from "../../shared/errors.js";
import { OversizedAnswerError } from "./guarded-fetch.js";

/**
 * What became of a write whose answer is missing: it is known that nothing was stored, or it is not known.
 * Of a read it is always `notApplied`.
 */
export type Outcome = "notApplied" | "unknown";

/** No answer from the server, or one that says that it cannot answer; the code is `UNAVAILABLE`. */
export class UnavailableError extends LibsqlError {
  readonly outcome: Outcome;

  constructor(message: string, outcome: Outcome, cause?: Error) {
    super(message, "UNAVAILABLE", undefined, undefined, cause);
    this.outcome = outcome;
  }
}

/** What the call was about to do, when it failed. */
export interface CallContext {
  /** Whether the server may have stored something by it: a statement of an open transaction has not. */
  readonly isWrite: boolean;
  /** Whether it was a read outside of a transaction, of which nothing could be stored. */
  readonly isRead?: boolean;
  /** The address of the server, without what may be secret in its URL. */
  readonly server: string;
  readonly redact: (text: string) => string;
}

/** A connection that was never made, by the codes of Node and Bun: the server has not seen the request. */
const NOT_SENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "UND_ERR_CONNECT_TIMEOUT",
  "ConnectionRefused",
  "FailedToOpenSocket",
  "DNSException",
]);

/** A certificate that was not accepted: nothing has been sent to such a server either. */
const UNTRUSTED = new Set([
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REJECTED",
  "CERT_REVOKED",
  "CERT_UNTRUSTED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "ERR_TLS_CERT_ALTNAME_INVALID",
]);

/** What came instead of the beginning of a TLS connection is none: the server speaks plain HTTP. */
const NO_TLS = "ERR_SSL_WRONG_VERSION_NUMBER";

/** A connection that ended before its answer. */
const DROPPED = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE", "ConnectionClosed"]);

/** The protocol has no extended codes yet, but SQLite's text says which constraint it was. */
const CONSTRAINTS: readonly (readonly [RegExp, string])[] = [
  [/UNIQUE constraint failed/, "SQLITE_CONSTRAINT_UNIQUE"],
  [/FOREIGN KEY constraint failed/, "SQLITE_CONSTRAINT_FOREIGNKEY"],
  [/NOT NULL constraint failed/, "SQLITE_CONSTRAINT_NOTNULL"],
  [/CHECK constraint failed/, "SQLITE_CONSTRAINT_CHECK"],
];

const ANSWER_ADVICE =
  "A server limits an answer (its option `--max-response-size`, 10 MB), and all that it sends at a time (`--max-total-response-size`, 32 MB): ask for fewer at a time, or raise the limits. Of a write that was to answer so much, nothing was stored";
const VALUE_ADVICE =
  "A server takes 5 MB in a value and in a row, what is stored to search it included: store it in parts. Nothing was stored";

const IDLE_ADVICE =
  "The server ends a transaction that has been idle for 10 s, as when the event loop was blocked for so long; nothing of it was stored: run the whole again";
const UNKNOWN_ADVICE =
  "Whether the write was stored is unknown: look, or repeat it under the same id or `clientId`, which stores it at most once";

/** SQLite's words for names in a statement that it does not know. */
const NOT_PREPARED =
  /SQLite error: (no such (table|column|function|collation sequence|module)\b|table \S+ has no column named)/;

const PROXIED = /error executing a request on the primary: (.*)$/s;
/** The triggers of our tables raise two of them. */
const PROXIED_CODES: readonly (readonly [RegExp, string])[] = [
  [/constraint failed|^(ID_TAKEN|DIMENSION_MISMATCH)\b/, "SQLITE_CONSTRAINT"],
  [/^database (table )?is locked/, "SQLITE_BUSY"],
  [/^database or disk is full/, "SQLITE_FULL"],
  [/^database disk image is malformed/, "SQLITE_CORRUPT"],
  [/^attempt to write a readonly database/, "SQLITE_READONLY"],
  [/^datatype mismatch/, "SQLITE_MISMATCH"],
  [/^string or blob too big/, "SQLITE_TOOBIG"],
  [/^disk I\/O error/, "SQLITE_IOERR"],
  [/timed[- ]out/i, "TRANSACTION_TIMEOUT"],
  [/too large/i, "RESPONSE_TOO_LARGE"],
];

/** Whether the answer was too much at once, and nothing was stored; of a StorageError too. */
export function isAnswerTooLarge(error: unknown): boolean {
  const { code, outcome } = error as { code?: unknown; outcome?: unknown };
  return error instanceof Error && code === "RESPONSE_TOO_LARGE" && outcome !== "unknown";
}

/** Whether the server has ended the transaction, or the stream that it lived in, or should: `isWrite` for what failed. */
export function endsTransaction(error: unknown, isWrite: boolean): boolean {
  if (!(error instanceof LibsqlError)) return !(error instanceof TypeError || error instanceof RangeError);
  // A write has done its work by then, which the caller, who sees it fail, must not commit.
  if (isAnswerTooLarge(error)) return isWrite;
  // The server has no code for a statement that could not be prepared; nothing of it ran.
  if (error.code === "SQLITE_UNKNOWN" && NOT_PREPARED.test(error.message)) return false;
  // After a failure of the statement alone SQLite keeps the transaction; after all others it may not, and what
  // follows would then be stored by itself.
  return (
    !["SQLITE_ERROR", "SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_READONLY", "SQLITE_RANGE", "SQLITE_TOOBIG"].some(
      (code) => code === error.code,
    ) && !/^(SQL|ARGS)_/.test(error.code)
  );
}

/** What the stock client or `fetch` threw, as the LibsqlError that callers are promised; the token is taken out. */
export function toRemoteError(thrown: unknown, context: CallContext): unknown {
  const { isWrite, redact } = context;
  if (!(thrown instanceof Error) || thrown instanceof UnavailableError) return thrown;
  redactAll(thrown, redact);
  const error = thrown instanceof LibsqlError ? asOfPrimary(thrown) : thrown;
  if (error instanceof OversizedAnswerError) {
    if (!isWrite) return error;
    // The server has answered, so it has done what it was asked to do, and only its answer says what came of it.
    return Object.assign(new OversizedAnswerError(error.maxBytes, UNKNOWN_ADVICE), { outcome: "unknown" });
  }
  if (error instanceof LibsqlError) {
    // The stock client names the code twice in what fails in a transaction.
    error.message = error.message.replace(`${error.code}: ${error.code}: `, `${error.code}: `);
    if (error.code === "STREAM_EXPIRED") return renamed(error, "TRANSACTION_TIMEOUT", IDLE_ADVICE);
    if (error.code === "TRANSACTION_TIMEOUT") {
      error.message +=
        ". The server takes the lock from a transaction of more than 5 s while others wait for it; nothing of it was stored: keep it short, and run the whole again";
    }
    if (isAnswerTooLarge(error)) error.message += `. ${ANSWER_ADVICE}`;
    if (/string or blob too big/.test(error.message)) return renamed(error, "SQLITE_TOOBIG", VALUE_ADVICE);
    if (error.code === "SQLITE_CONSTRAINT" && error.extendedCode === undefined) return withExtendedCode(error);
    return unavailableFrom(error, context) ?? error;
  }
  // A wrong argument is told before anything is sent. `fetch failed` is a TypeError too, but has a cause.
  const isMisuse = error.cause === undefined && (error instanceof TypeError || error instanceof RangeError);
  if (isMisuse && (error as { code?: unknown }).code === undefined && error.message !== "fetch failed") return error;
  const codes = codesOf(error);
  const unsent = { ...context, isWrite: false };
  if (codes.some((code) => UNTRUSTED.has(code))) {
    const advice = "Let NODE_EXTRA_CA_CERTS name the file of its authority, or use the name that it is made out to";
    return unavailable(`cannot be used: its certificate is not trusted (${reasonOf(error)}). ${advice}`, unsent, error);
  }
  if (codes.includes(NO_TLS)) {
    return unavailable("speaks no TLS. Use http://, or libsql:// with ?tls=0", unsent, error);
  }
  const wasSent = !codes.some((code) => NOT_SENT.has(code));
  return unavailable(`did not answer (${reasonOf(error)})`, wasSent ? context : unsent, error);
}

export function isDropped(error: unknown): boolean {
  return error instanceof UnavailableError && codesOf(error.cause).some((code) => DROPPED.has(code));
}

/** Nothing came back within the time allowed. */
export function timedOut(timeoutMs: number, call: Omit<CallContext, "redact">): UnavailableError {
  return unavailable(`did not answer within ${timeoutMs} ms (\`requestTimeoutMs\`)`, call);
}

function unavailable(
  what: string,
  { server, isWrite, isRead }: Omit<CallContext, "redact">,
  cause?: Error,
): UnavailableError {
  const outcome = isRead === true ? "Try again" : "Nothing was stored: try again";
  const advice = isWrite ? UNKNOWN_ADVICE : `${outcome} once it can be reached`;
  return new UnavailableError(`The server ${server} ${what}. ${advice}`, isWrite ? "unknown" : "notApplied", cause);
}

/** A read replica passes on a statement's failure on the primary as text only: this is what the primary would say. */
function asOfPrimary(error: LibsqlError): LibsqlError {
  const text = error.code === "PROXY_ERROR" ? PROXIED.exec(error.message)?.[1] : undefined;
  if (text === undefined) return error;
  const message = `SQLite error: ${text}`;
  const code = PROXIED_CODES.find(([pattern]) => pattern.test(text))?.[1] ?? "SQLITE_UNKNOWN";
  if (!(error instanceof LibsqlBatchError)) return new LibsqlError(message, code, undefined, undefined, error);
  return new LibsqlBatchError(message, error.statementIndex, code, undefined, undefined, error);
}

/** The server is there, and has no database, or no namespace, of this name. */
export function noDatabase(cause?: Error): LibsqlError {
  const message = "The server has no database at this address: check the host and path of the URL";
  return new LibsqlError(message, "DATABASE_NOT_FOUND", undefined, undefined, cause);
}

/** Answers that are no verdict of SQLite on the statement. */
function unavailableFrom(error: LibsqlError, context: CallContext): LibsqlError | undefined {
  const { code } = error;
  const failed = `failed (${withoutCode(error)})`;
  if (code === "SERVER_ERROR") {
    const status = (error.cause as { status?: unknown } | undefined)?.status;
    if (status === 401 || status === 403) {
      return new LibsqlError(
        `The server refuses the token (HTTP ${status}): check \`authToken\``,
        "AUTH_FAILED",
        undefined,
        undefined,
        error,
      );
    }
    if (status === 404) return noDatabase(error);
    if (status === 429) return unavailable(failed, { ...context, isWrite: false }, error);
    const wasRefused = typeof status === "number" && status >= 400 && status < 500;
    return wasRefused ? undefined : unavailable(failed, context, error);
  }
  if (/^(HRANA_(PROTO|CLOSED|WEBSOCKET)_ERROR|INTERNAL_ERROR|UNKNOWN)$/.test(code))
    return unavailable(failed, context, error);
  return undefined;
}

/** The same under a code that says more. */
function renamed(error: LibsqlError, code: string, advice: string): LibsqlError {
  const text = `${withoutCode(error)}. ${advice}`;
  if (!(error instanceof LibsqlBatchError)) return new LibsqlError(text, code, undefined, undefined, error);
  return new LibsqlBatchError(text, error.statementIndex, code, undefined, undefined, error);
}

function withExtendedCode(error: LibsqlError): LibsqlError {
  const extended = CONSTRAINTS.find(([pattern]) => pattern.test(error.message))?.[1];
  if (extended === undefined) return error;
  const text = withoutCode(error);
  const cause = error.cause instanceof Error ? error.cause : undefined;
  if (error instanceof LibsqlBatchError) {
    return new LibsqlBatchError(text, error.statementIndex, error.code, extended, error.rawCode, cause);
  }
  return new LibsqlError(text, error.code, extended, error.rawCode, cause);
}

function codesOf(error: unknown, depth = 0): string[] {
  if (!(error instanceof Error) || depth > 5) return [];
  const { code, errors } = error as { code?: unknown; errors?: unknown };
  const all = Array.isArray(errors) ? errors.flatMap((one) => codesOf(one, depth + 1)) : [];
  return [...(typeof code === "string" ? [code] : []), ...all, ...codesOf(error.cause, depth + 1)];
}

/** The innermost reason: `fetch failed` says nothing. */
function reasonOf(error: Error): string {
  let at = error;
  while (at.cause instanceof Error) at = at.cause;
  const text = at.message || codesOf(at)[0] || at.name;
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/** In place, through the whole chain: a server, or a proxy before it, may quote what it was sent. */
function redactAll(error: Error, redact: (text: string) => string, depth = 0): void {
  if (depth > 8) return;
  for (const key of ["message", "stack"] as const) {
    const text = error[key];
    if (typeof text !== "string") continue;
    const safe = redact(text);
    if (safe !== text) Object.defineProperty(error, key, { value: safe, configurable: true, writable: true });
  }
  const { cause, errors, proto } = error as { cause?: unknown; errors?: unknown; proto?: { message?: unknown } };
  if (proto !== undefined && typeof proto.message === "string") proto.message = redact(proto.message);
  for (const inner of [cause, ...(Array.isArray(errors) ? errors : [])]) {
    if (inner instanceof Error) redactAll(inner, redact, depth + 1);
  }
}
