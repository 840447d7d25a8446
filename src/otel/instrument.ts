import { subscribe, unsubscribe } from "node:diagnostics_channel";
import {
  type Attributes,
  context,
  type MeterProvider,
  metrics,
  type ObservableResult,
  SpanKind,
  SpanStatusCode,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import type { StatementMessage, TransactionMessage, WaitMessage } from "../client/diagnostics.js";
import { countConnections } from "../client/local/open-pools.js";
import { expectKeys } from "../shared/known-keys.js";
import { operationOf } from "./operation.js";

/** Where the spans and metrics go. */
export interface InstrumentOptions {
  /** Makes the spans. @default the global provider */
  readonly tracerProvider?: TracerProvider;
  /** Makes the metrics. @default the global provider */
  readonly meterProvider?: MeterProvider;
}

const SCOPE = "holdfast";
/** What the semantic conventions advise, in seconds. */
const BUCKETS = { explicitBucketBoundaries: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10] };
const POOL = { "db.client.connection.pool.name": SCOPE };

/**
 * Makes OpenTelemetry spans and metrics of everything that this process does with Holdfast. Returns a function that ends
 * it.
 *
 * Each statement is a span in the caller's context, and so is each transaction that rejects. The global providers must be
 * registered before this call.
 */
export function instrument(options: InstrumentOptions = {}): () => void {
  expectKeys("instrument", options, ["tracerProvider", "meterProvider"]);
  const { tracerProvider = trace, meterProvider = metrics } = options;
  const tracer = tracerProvider.getTracer(SCOPE);
  const meter = meterProvider.getMeter(SCOPE);
  const duration = meter.createHistogram("db.client.operation.duration", {
    description: "Duration of database client operations",
    unit: "s",
    advice: BUCKETS,
  });
  const waitTime = meter.createHistogram("db.client.connection.wait_time", {
    description: "The time it took to obtain an open connection, or the turn as writer",
    unit: "s",
    advice: BUCKETS,
  });
  const connections = meter.createObservableUpDownCounter("db.client.connection.count", {
    description: "The number of open connections of local databases",
    unit: "{connection}",
  });

  const span = (name: string, attributes: Attributes, { durationMs, waitMs, error }: Failable) => {
    const endTime = Date.now();
    const made = tracer.startSpan(
      name,
      { kind: SpanKind.CLIENT, startTime: endTime - waitMs - durationMs, attributes },
      context.active(),
    );
    if (error !== undefined) {
      made.setAttributes(errorAttributes(error));
      made.setStatus({ code: SpanStatusCode.ERROR, message: String((error as Error)?.message ?? error) });
      if (error instanceof Error) made.recordException(error, endTime);
    }
    made.end(endTime);
  };
  const onStatement = (message: unknown) => {
    const statement = message as StatementMessage;
    const { sql, durationMs, waitMs, error } = statement;
    const operation = operationOf(sql);
    const attributes = { "db.system.name": "sqlite", "db.operation.name": operation };
    span(operation, { ...attributes, "db.query.text": sql }, statement);
    duration.record((waitMs + durationMs) / 1000, { ...attributes, ...errorAttributes(error) });
  };
  const onTransaction = (message: unknown) => {
    const transaction = message as TransactionMessage;
    if (transaction.error === undefined) return;
    const operation = "TRANSACTION";
    span(operation, { "db.system.name": "sqlite", "db.operation.name": operation }, transaction);
  };
  const onWait = (message: unknown) => {
    const { waitMs, role, error } = message as WaitMessage;
    waitTime.record(waitMs / 1000, { ...POOL, "holdfast.connection.role": role, ...errorAttributes(error) });
  };
  const count = (result: ObservableResult) => {
    for (const [state, number] of Object.entries(countConnections())) {
      result.observe(number, { ...POOL, "db.client.connection.state": state });
    }
  };

  subscribe("holdfast:statement", onStatement);
  subscribe("holdfast:transaction", onTransaction);
  subscribe("holdfast:wait", onWait);
  connections.addCallback(count);
  return () => {
    unsubscribe("holdfast:statement", onStatement);
    unsubscribe("holdfast:transaction", onTransaction);
    unsubscribe("holdfast:wait", onWait);
    connections.removeCallback(count);
  };
}

interface Failable {
  readonly durationMs: number;
  readonly waitMs: number;
  readonly error?: unknown;
}

function errorAttributes(error: unknown): Attributes {
  if (error === undefined) return {};
  const { code, name } = error as { readonly code?: unknown; readonly name?: unknown };
  const type = String(code ?? name ?? "_OTHER");
  return type.startsWith("SQLITE_") ? { "error.type": type, "db.response.status_code": type } : { "error.type": type };
}
