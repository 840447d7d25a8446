import type { PooledClient } from "holdfast/client";
import { describe, expect, test } from "vitest";
import { openTestClient } from "../../support/clients.js";
import { tempDatabase } from "../../support/temp.js";

// A connection prepares with the schema that it last saw. The names of the columns behind a `*` once were those of that
// schema, for good, when the text was first prepared after a change.

const DROP = "ALTER TABLE things DROP COLUMN a";

const changes: Record<string, (client: PooledClient, other: PooledClient) => Promise<unknown>> = {
  execute: (client) => client.execute(DROP),
  batch: (client) => client.batch([DROP], "write"),
  migrate: (client) => client.migrate([DROP]),
  executeMultiple: (client) => client.executeMultiple(DROP),
  transaction: async (client) => {
    const tx = await client.transaction();
    await tx.execute(DROP);
    await tx.commit();
  },
  "another client": (_client, other) => other.execute(DROP),
};

/** Every reader of the pool, and the writer, has seen the schema. */
async function useAllConnections(client: PooledClient): Promise<void> {
  await Promise.all(Array.from({ length: 8 }, () => client.execute("SELECT count(*) FROM things")));
  const readers = await Promise.all(Array.from({ length: 3 }, () => client.transaction("read")));
  for (const reader of readers) await reader.execute("SELECT count(*) FROM things");
  for (const reader of readers) reader.close();
}

describe.each([false, true])(
  "with plainRows: %s, a first SELECT * has the columns of now after a change by",
  (plainRows) => {
    test.each(Object.entries(changes))("%s", async (_name, change) => {
      await using db = await tempDatabase();
      await using client = openTestClient(db.url, { plainRows, readers: 4 });
      await using other = openTestClient(db.url);
      await client.executeMultiple(
        "CREATE TABLE things (id INTEGER PRIMARY KEY, a, b, c); INSERT INTO things VALUES (1, 'A', 'B', 'C')",
      );
      await useAllConnections(client);
      await change(client, other);
      for (const sql of ["SELECT * FROM things", "SELECT * FROM things WHERE id = 1"]) {
        const readers = await Promise.all(Array.from({ length: 3 }, () => client.transaction("read")));
        for (const reader of readers) {
          for (let call = 0; call < 4; call++) {
            const { columns, rows } = await reader.execute(sql);
            expect(columns).toEqual(["id", "b", "c"]);
            expect({ ...rows[0] }).toEqual({ id: 1, b: "B", c: "C" });
          }
          reader.close();
        }
      }
      const { rows } = await client.execute("INSERT INTO things (b) VALUES ('D') RETURNING *");
      expect({ ...rows[0] }).toEqual({ id: 2, b: "D", c: null });
    });
  },
);

test("a SELECT * of an attached database has the columns of now", async () => {
  await using db = await tempDatabase();
  await using attached = await tempDatabase();
  await using client = openTestClient(db.url);
  await using other = openTestClient(attached.url);
  await other.executeMultiple("CREATE TABLE things (a, b); INSERT INTO things VALUES ('A', 'B')");
  await client.execute({ sql: "ATTACH ? AS more", args: [attached.path] });
  const read = async () => ({ ...(await client.execute("SELECT * FROM more.things")).rows[0] });
  expect(await read()).toEqual({ a: "A", b: "B" });
  await other.execute(DROP);
  expect(await read()).toEqual({ b: "B" });
  expect(await read()).toEqual({ b: "B" });
});

// The version of the schema is the same after the second change as it was within the first, which was rolled back.
describe.each([
  ["a transaction", "ROLLBACK", undefined],
  ["a savepoint", "ROLLBACK TO s", undefined],
  ["an error", "INSERT OR ROLLBACK INTO things (id) VALUES (1)", /UNIQUE/],
])("after %s was rolled back with its change, the columns behind a * are those of now", (_, undo, error) => {
  test.each(["its own", "another client's"])("after %s change", async (whose) => {
    await using db = await tempDatabase();
    await using client = openTestClient(db.url);
    await using other = openTestClient(db.url);
    await client.executeMultiple(
      "CREATE TABLE things (id INTEGER PRIMARY KEY, a, b, c); INSERT INTO things VALUES (1, 'A', 'B', 'C')",
    );
    const read = async (tx: Pick<typeof client, "execute">) => ({
      ...(await tx.execute("SELECT * FROM things")).rows[0],
    });
    const tx = await client.transaction("write");
    await tx.execute("SAVEPOINT s");
    await tx.execute(DROP);
    expect(await read(tx)).toEqual({ id: 1, b: "B", c: "C" });
    if (undo === "ROLLBACK") await tx.rollback();
    else if (error === undefined) await tx.execute(undo);
    else await expect(tx.execute(undo)).rejects.toThrow(error);
    tx.close();
    await (whose === "its own" ? client : other).execute("ALTER TABLE things DROP COLUMN b");
    const next = await client.transaction("write");
    for (let call = 0; call < 2; call++) expect(await read(next)).toEqual({ id: 1, a: "A", c: "C" });
    await next.rollback();
  });
});

// The stock client goes on failing until it reads the schema for another reason.
test("an INSERT without a list of columns works after another client has dropped a column", async () => {
  await using db = await tempDatabase();
  await using other = openTestClient(db.url);
  await other.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, a, b)");
  const sql = "INSERT INTO things VALUES (NULL, ?)";
  const args = ["x".repeat(100_000)];
  const ways: Record<string, (client: PooledClient) => Promise<unknown>> = {
    execute: (client) => client.execute({ sql, args: ["x"] }),
    batch: (client) => client.batch([{ sql, args: ["x"] }], "write"),
    executeMultiple: (client) => client.executeMultiple("INSERT INTO things VALUES (NULL, 'x')"),
    "off the thread": (client) => client.execute({ sql, args }),
  };
  for (const [way, insert] of Object.entries(ways)) {
    await using client = openTestClient(db.url);
    await client.execute("INSERT INTO things VALUES (NULL, 'a', 'b')");
    await other.execute(DROP);
    expect(await insert(client), way).not.toBe(false);
    await other.execute("ALTER TABLE things ADD a");
  }
  expect((await other.execute("SELECT count(*) FROM things")).rows[0]![0]).toBe(8);
});
