import { openStorage, type StorageClient } from "holdfast";
import { createClient } from "holdfast/client";
import { describe, expect, test } from "vitest";
import { column, rejection } from "../../support/clients.js";
import { startServer } from "../../support/server.js";

const clients: [string, (url: string) => Promise<StorageClient>][] = [
  ["a storage", async (url) => (await openStorage({ url, migrate: "skip" })).client],
  ["createClient", async (url) => createClient({ url })],
];

describe.each(clients)("a transaction of %s on a server", (_name, open) => {
  test("has state, depth and savepoints as that of a file", async () => {
    await using server = await startServer();
    const client = await open(server.url);
    try {
      await client.execute("CREATE TABLE t (a)");
      const tx = await client.transaction("write");
      expect([tx.mode, tx.state, tx.depth]).toEqual(["write", "active", 0]);
      await tx.execute("INSERT INTO t VALUES (?)", [1]);
      const outer = await tx.savepoint();
      await tx.execute("INSERT INTO t VALUES (2)");
      const inner = await tx.savepoint();
      await tx.batch([["INSERT INTO t VALUES (?)", [3]]]);
      expect(tx.depth).toBe(2);
      await tx.rollbackTo(inner);
      expect(tx.depth).toBe(2);
      await tx.rollbackTo(outer);
      expect(tx.depth).toBe(1);
      expect((await rejection(tx.release(inner))).code).toBe("SAVEPOINT_CLOSED");
      expect(await rejection(tx.release(undefined as never))).toBeInstanceOf(TypeError);
      await tx.execute("INSERT INTO t VALUES (4)");
      await tx.release(outer);
      await tx.commit();
      expect([tx.state, tx.depth, tx.closed]).toEqual(["committed", 0, true]);
      expect(await column(client, "SELECT a FROM t")).toEqual([1, 4]);

      const undone = await client.transaction("write");
      await undone.execute("INSERT INTO t VALUES (5)");
      await undone.rollback();
      expect([undone.state, undone.depth]).toEqual(["rolledBack", 0]);
      expect(await column(client, "SELECT count(*) FROM t")).toEqual([2]);
    } finally {
      await client.close();
    }
  });
});
