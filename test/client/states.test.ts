import { type Checkout, createClient, type PooledClient, type Transaction } from "holdfast/client";
import { describe, expect, test } from "vitest";
import { rejection } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

type State = "idle" | "in use" | "in a write transaction" | "in a read transaction" | "closed";
type Outcome = "works" | "waits" | "CLIENT_CLOSED" | "refused";

/** Brings the client into `state`; the answer ends it. */
const enter: Record<State, (client: PooledClient) => Promise<() => unknown>> = {
  idle: async () => () => undefined,
  "in use": async (client) => {
    const writer = await client.pool.acquire({ role: "writer" });
    return () => writer.release();
  },
  "in a write transaction": async (client) => {
    const tx = await client.transaction("write");
    await tx.execute("INSERT INTO t VALUES ('tx')");
    return () => tx.close();
  },
  "in a read transaction": async (client) => {
    const tx = await client.transaction("read");
    return () => tx.close();
  },
  closed: async (client) => {
    await client.close();
    return () => undefined;
  },
};

const endsAtOnce = async (open: Promise<Transaction | Checkout>) => {
  const one = await open;
  if ("close" in one) one.close();
  else one.release();
};
const operations: Record<string, (client: PooledClient) => Promise<unknown>> = {
  "a read": (client) => client.execute("SELECT * FROM t"),
  "a write": (client) => client.execute("INSERT INTO t VALUES (1)"),
  "a RETURNING": (client) => client.execute("INSERT INTO t VALUES (1) RETURNING a"),
  "a PRAGMA": (client) => client.execute("PRAGMA user_version"),
  VACUUM: (client) => client.execute("VACUUM"),
  BEGIN: (client) => client.execute("BEGIN"),
  "a read batch": (client) => client.batch(["SELECT 1"], "read"),
  "a write batch": (client) => client.batch(["INSERT INTO t VALUES (1)"], "write"),
  "a migration": (client) => client.migrate(["INSERT INTO t VALUES (1)"]),
  "a script": (client) => client.executeMultiple("INSERT INTO t VALUES (1)"),
  "a write transaction": (client) => endsAtOnce(client.transaction("write")),
  "a deferred transaction": (client) => endsAtOnce(client.transaction("deferred")),
  "a read transaction": (client) => endsAtOnce(client.transaction("read")),
  "a reader": (client) => endsAtOnce(client.pool.acquire()),
  "a writer": (client) => endsAtOnce(client.pool.acquire({ role: "writer" })),
  "a checkpoint": (client) => client.checkpoint(),
  "a reconnect": (client) => client.reconnect(),
  close: (client) => client.close(),
};

/** What each state does to each operation on a file, and on `:memory:` where that differs. */
const grid: Record<string, Record<State, Outcome | [Outcome, Outcome]>> = {};
const row = (
  name: string,
  idle: Outcome,
  inUse: Outcome | [Outcome, Outcome],
  writing: typeof inUse,
  reading: typeof inUse,
  closed: Outcome,
) => {
  grid[name] = {
    idle,
    "in use": inUse,
    "in a write transaction": writing,
    "in a read transaction": reading,
    closed,
  };
};
const onReader: [Outcome, Outcome] = ["works", "waits"];
row("a read", "works", onReader, onReader, onReader, "CLIENT_CLOSED");
row("a write", "works", "waits", "waits", onReader, "CLIENT_CLOSED");
row("a RETURNING", "works", "waits", "waits", onReader, "CLIENT_CLOSED");
row("a PRAGMA", "works", "waits", "waits", onReader, "CLIENT_CLOSED");
row("VACUUM", "works", "waits", "waits", onReader, "CLIENT_CLOSED");
row("BEGIN", "refused", "refused", "refused", "refused", "CLIENT_CLOSED");
row("a read batch", "works", onReader, onReader, onReader, "CLIENT_CLOSED");
row("a write batch", "works", "waits", "waits", onReader, "CLIENT_CLOSED");
row("a migration", "works", "waits", "waits", onReader, "CLIENT_CLOSED");
row("a script", "works", "waits", "waits", onReader, "CLIENT_CLOSED");
row("a write transaction", "works", "waits", "waits", onReader, "CLIENT_CLOSED");
row("a deferred transaction", "works", "waits", "waits", onReader, "CLIENT_CLOSED");
row("a read transaction", "works", onReader, onReader, onReader, "CLIENT_CLOSED");
row("a reader", "works", onReader, onReader, onReader, "CLIENT_CLOSED");
row("a writer", "works", "waits", "waits", onReader, "CLIENT_CLOSED");
row("a checkpoint", "works", ["waits", "works"], ["waits", "works"], "works", "CLIENT_CLOSED");
row("a reconnect", "works", "works", "works", "works", "works");
row("close", "works", "works", "works", "works", "works");

const cells = Object.entries(grid).flatMap(([operation, states]) =>
  Object.entries(states).map(([state, outcome]) => ({ operation, state: state as State, outcome })),
);

describe.each([
  ["file", 0],
  [":memory:", 1],
] as const)("on %s", (place, column) => {
  test("every operation has its row", () => {
    expect(Object.keys(grid)).toEqual(Object.keys(operations));
  });

  test.each(cells)("$operation, $state: $outcome", async ({ operation, state, outcome }) => {
    const expected = Array.isArray(outcome) ? outcome[column] : outcome;
    await using db = await tempDatabase();
    const client = createClient({ url: place === "file" ? db.url : ":memory:", acquireTimeoutMs: 5000 });
    await client.execute("CREATE TABLE t (a)");
    const leave = await enter[state](client);
    const call = operations[operation]!(client);
    if (expected === "CLIENT_CLOSED") expect((await rejection(call)).code).toBe("CLIENT_CLOSED");
    else if (expected === "refused") expect((await rejection(call)).code).toBe("NOT_SUPPORTED");
    else if (expected === "works") await call;
    else {
      // The call is in the queue of the pool until the state ends.
      await expect.poll(() => client.stats().pool.waiting, { interval: 1 }).toBe(1);
    }
    await leave();
    if (expected === "waits") await call;
    if (!client.closed) {
      await client.execute("INSERT INTO t VALUES ('end')").catch((error) => {
        // A database in memory starts empty after a reconnect.
        if (!(operation === "a reconnect" && place === ":memory:")) throw error;
      });
      expect(client.stats().pool.waiting).toBe(0);
    }
    await client.close();
  });
});
