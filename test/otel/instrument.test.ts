import { context, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { openStorage } from "holdfast";
import { createClient } from "holdfast/client";
import { instrument } from "holdfast/otel";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTestClient, rejection } from "../support/clients.js";
import { startServer } from "../support/server.js";
import { tempDatabase } from "../support/temp.js";

/** A reader that collects when a test asks it to. */
class AskedReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

const manager = new AsyncLocalStorageContextManager();
beforeAll(() => void context.setGlobalContextManager(manager.enable()));
afterAll(() => context.disable());

/** The SDK of OpenTelemetry, in memory, with `instrument` until the end of the test. */
function startSdk() {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const reader = new AskedReader();
  const meterProvider = new MeterProvider({ readers: [reader] });
  const stop = instrument({ tracerProvider, meterProvider });
  const tracer = tracerProvider.getTracer("test");
  return {
    stop,
    spans: () => exporter.getFinishedSpans(),
    /** Runs `work` in a span, as a request does. */
    inSpan: async (name: string, work: (span: Span) => Promise<unknown>) =>
      tracer.startActiveSpan(name, async (span) => {
        await work(span);
        span.end();
        return span;
      }),
    metrics: async () => {
      const { resourceMetrics } = await reader.collect();
      const all = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
      return new Map(all.map(({ descriptor, dataPoints }) => [descriptor.name, { unit: descriptor.unit, dataPoints }]));
    },
    [Symbol.dispose]: stop,
  };
}

const CREATE = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)";
const INSERT = "INSERT INTO t (name) VALUES (?)";

test("each statement is a client span in the caller's context, with its SQL and operation", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.execute(CREATE);
  using sdk = startSdk();
  const parents = await Promise.all(
    ["a", "b"].map((name) =>
      sdk.inSpan(name, async () => {
        await client.execute(INSERT, [name]);
        await client.execute("WITH x AS (SELECT 1) DELETE FROM t WHERE name = 'none'");
        const transaction = await client.transaction();
        await transaction.execute("SELECT name FROM t");
        await transaction.commit();
      }),
    ),
  );
  for (const parent of parents) {
    const { traceId, spanId } = parent.spanContext();
    const own = sdk.spans().filter((span) => span.parentSpanContext?.spanId === spanId);
    expect(own.map(({ name }) => name)).toEqual(["INSERT", "DELETE", "SELECT"]);
    for (const span of own) {
      expect(span.spanContext().traceId).toBe(traceId);
      expect(span.kind).toBe(SpanKind.CLIENT);
      expect(span.status.code).toBe(SpanStatusCode.UNSET);
      expect(span.duration[0] + span.duration[1]).toBeGreaterThan(0);
    }
    expect(own[0]!.attributes).toEqual({
      "db.system.name": "sqlite",
      "db.operation.name": "INSERT",
      "db.query.text": INSERT,
    });
  }
});

test("an error is the status of its span, and a transaction that rejects has a span too", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  await client.execute(CREATE);
  await client.execute(INSERT, ["taken"]);
  using sdk = startSdk();
  await rejection(client.batch(["SELECT 1", { sql: INSERT, args: ["taken"] }], "write"));
  const spans = sdk.spans();
  expect(spans.map(({ name, status }) => [name, status.code])).toEqual([
    ["SELECT", SpanStatusCode.UNSET],
    ["INSERT", SpanStatusCode.ERROR],
    ["TRANSACTION", SpanStatusCode.ERROR],
  ]);
  expect(spans[1]!.attributes).toMatchObject({
    "error.type": "SQLITE_CONSTRAINT",
    "db.response.status_code": "SQLITE_CONSTRAINT",
  });
  expect(spans[1]!.status.message).toContain("UNIQUE constraint failed");
  expect(spans[1]!.events.map(({ name }) => name)).toEqual(["exception"]);
});

test("durations, waits and connections are metrics", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  using sdk = startSdk();
  await client.execute(CREATE);
  await rejection(client.execute("SELECT * FROM nothing"));
  const transaction = await client.transaction();
  const metrics = await sdk.metrics();
  await transaction.rollback();

  const duration = metrics.get("db.client.operation.duration")!;
  expect(duration.unit).toBe("s");
  expect(duration.dataPoints.map(({ attributes, value }) => [attributes, (value as { count: number }).count])).toEqual([
    [{ "db.system.name": "sqlite", "db.operation.name": "CREATE" }, 1],
    [
      {
        "db.system.name": "sqlite",
        "db.operation.name": "SELECT",
        "error.type": "SQLITE_ERROR",
        "db.response.status_code": "SQLITE_ERROR",
      },
      1,
    ],
  ]);
  const wait = metrics.get("db.client.connection.wait_time")!;
  expect(wait.unit).toBe("s");
  expect(wait.dataPoints[0]!.attributes).toEqual({
    "db.client.connection.pool.name": "holdfast",
    "holdfast.connection.role": "writer",
  });
  const byState = (all: typeof metrics) =>
    Object.fromEntries(
      all
        .get("db.client.connection.count")!
        .dataPoints.map(({ attributes, value }) => [attributes["db.client.connection.state"], value as number]),
    );
  // Other tests of this process may have clients open.
  expect(byState(metrics).used).toBeGreaterThanOrEqual(1);
  const before = byState(await sdk.metrics());
  await client.close();
  const after = byState(await sdk.metrics());
  expect(before.used! + before.idle! - (after.used! + after.idle!)).toBeGreaterThanOrEqual(1);
});

test("the function that instrument returns ends it, and may be called twice", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(db.url);
  using sdk = startSdk();
  sdk.stop();
  sdk.stop();
  await client.execute("SELECT 1");
  expect(sdk.spans()).toEqual([]);
  expect((await sdk.metrics()).size).toBe(0);
});

test("without options, the global providers are used; an unknown option is a TypeError", async () => {
  const exporter = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
  const stop = instrument();
  await using client = openTestClient(":memory:");
  try {
    await client.execute("SELECT 1");
  } finally {
    stop();
    trace.disable();
  }
  expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(["SELECT"]);
  expect(() => instrument({ tracer: 1 } as object)).toThrow(TypeError);
});

test("statements on a server and on an embedded replica are spans of their caller", async () => {
  await using server = await startServer();
  await using folder = await tempDatabase();
  await using primary = await openStorage(server.url);
  await using replica = await openStorage({ url: folder.url, syncUrl: server.url });
  const plain = createClient({ url: server.url });
  using sdk = startSdk();
  for (const client of [primary.client, replica.client, plain]) {
    const parent = await sdk.inSpan("request", async () => {
      await client.execute("SELECT 1");
      await client.execute("CREATE TABLE IF NOT EXISTS t (x)");
    });
    const own = sdk.spans().filter((span) => span.parentSpanContext?.spanId === parent.spanContext().spanId);
    expect(own.map(({ name }) => name)).toEqual(["SELECT", "CREATE"]);
  }
  await plain.close();
});
