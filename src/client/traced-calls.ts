import type { ResultSet } from "@libsql/client/sqlite3";
import { publish, type Role } from "./diagnostics.js";
import type { ClientTransaction } from "./savepoints.js";
import { type CallTraits, StatementTrace } from "./statement-trace.js";

// The calls of a client while someone subscribes to its channels. Messages are sent when a call ends, and in the async
// context of its caller: tracers find the caller's span there.

/** Runs one statement, or a script as one, and sends its messages. */
export async function tracedStatement<T>(
  sql: string,
  traits: CallTraits,
  run: (trace: StatementTrace) => Promise<T> | T,
): Promise<T> {
  const trace = new StatementTrace(sql, traits);
  const send = (failure: { readonly error?: unknown }) => {
    const { hasStarted, waitMs, role } = trace;
    if (traits.isWithin !== true && waitMs > 0) publish("wait", { waitMs, role, ...(hasStarted ? {} : failure) });
    publish("statement", trace.message(failure, waitMs));
  };
  try {
    const result = await run(trace);
    trace.end(result as ResultSet | undefined);
    send({});
    return result;
  } catch (error) {
    if (trace.hasStarted) trace.end();
    send({ error });
    throw error;
  }
}

/** Runs statements as one transaction, or within one, and sends the messages of those that ran. */
export async function tracedBatch<Statement extends { readonly statement: { readonly sql: string } }>(
  bound: readonly Statement[],
  traits: CallTraits,
  run: (traced: (Statement & { readonly trace: StatementTrace })[]) => Promise<ResultSet[]>,
): Promise<ResultSet[]> {
  const calledAt = performance.now();
  const traces = bound.map(({ statement }) => new StatementTrace(statement.sql, traits));
  const send = (state: "committed" | "rolledBack", failure: { readonly error?: unknown }) => {
    const [first] = traces;
    const { role, hasStarted, waitMs } = first ?? { role: traits.role, hasStarted: true, waitMs: 0 };
    if (traits.isWithin !== true && waitMs > 0) publish("wait", { waitMs, role, ...(hasStarted ? {} : failure) });
    sendEach(traces, failure);
    if (traits.isWithin === true) return;
    const durationMs = performance.now() - calledAt - waitMs;
    publish("transaction", { durationMs, waitMs, role, state, ...failure });
  };
  try {
    const results = await run(bound.map((one, index) => ({ ...one, trace: traces[index]! })));
    for (const [index, trace] of traces.entries()) if (!trace.hasEnded) trace.end(results[index]);
    send("committed", {});
    return results;
  } catch (error) {
    send("rolledBack", { error });
    throw error;
  }
}

/** Begins a transaction, and sends its messages: one when it has its connection, and one at its end. */
export async function tracedBegin<T extends ClientTransaction & { onEnd?: (error?: unknown) => void }>(
  role: Role,
  begin: () => Promise<T>,
): Promise<T> {
  const calledAt = performance.now();
  const transaction = await tracedAcquire(role, begin).catch((error: unknown) => {
    publish("transaction", { durationMs: 0, waitMs: performance.now() - calledAt, role, state: "rolledBack", error });
    throw error;
  });
  const begunAt = performance.now();
  transaction.onEnd = (error) => {
    const state = transaction.state === "committed" ? "committed" : "rolledBack";
    const failure = error === undefined ? {} : { error };
    const durationMs = performance.now() - begunAt;
    publish("transaction", { durationMs, waitMs: begunAt - calledAt, role, state, ...failure });
  };
  return transaction;
}

/** Takes a connection, and sends how long that took. */
export async function tracedAcquire<T>(role: Role, acquire: () => Promise<T>): Promise<T> {
  const calledAt = performance.now();
  try {
    const acquired = await acquire();
    publish("wait", { waitMs: performance.now() - calledAt, role });
    return acquired;
  } catch (error) {
    publish("wait", { waitMs: performance.now() - calledAt, role, error });
    throw error;
  }
}

/** The first statement carries the waiting of all. The error belongs to the one that it names, or that did not end. */
function sendEach(traces: readonly StatementTrace[], failure: { readonly error?: unknown }): void {
  const { statementIndex } = (failure.error ?? {}) as { readonly statementIndex?: number };
  for (const [index, trace] of traces.entries()) {
    const isAfterFailure = statementIndex !== undefined && index > statementIndex;
    if (!trace.hasStarted || (!trace.hasEnded && isAfterFailure)) continue;
    const hasFailed = "error" in failure && (statementIndex === undefined ? !trace.hasEnded : index === statementIndex);
    publish("statement", trace.message(hasFailed ? failure : {}, index === 0 ? trace.waitMs : 0));
  }
}
