import { expect, test } from "vitest";
import { openTestClient, rejection } from "../support/clients.js";
import { tempStorage } from "../support/storage.js";
import { tempDatabase } from "../support/temp.js";

const SETUP = `CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, text TEXT);
  CREATE VIRTUAL TABLE f USING fts5(text, content = 't', content_rowid = 'id');
  CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO f (rowid, text) VALUES (new.id, new.text); END`;
const INSERT = "INSERT INTO t (name, text) VALUES (?, ?)";
/** What indexing it takes is many times what the rest of the write takes. */
const LONG = Array.from({ length: 80_000 }, (_, index) => `word${index}`).join(" ");

/** How often the event loop turned while `work` ran. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isOver = false;
  const turn = () => {
    turns++;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  await work();
  isOver = true;
  return turns;
}

test.each([":memory:", "file"])("the event loop goes on while a long text is stored (%s)", async (target) => {
  await using db = await tempDatabase();
  await using client = openTestClient(target === "file" ? `file:${db.path}` : ":memory:");
  await client.executeMultiple(SETUP);
  let writes: Promise<unknown[]> = Promise.resolve([]);
  const turns = await turnsDuring(() => {
    writes = Promise.all([
      client.execute({ sql: INSERT, args: ["a", LONG] }),
      client.execute({ sql: `${INSERT} RETURNING id, name`, args: ["b", LONG] }),
      client.execute({ sql: INSERT, args: ["c", "short"] }),
      client.batch([
        [INSERT, ["d", LONG]],
        ["UPDATE t SET name = ? WHERE id = ?", ["e", 4]],
      ]),
    ]);
    return writes;
  });
  expect(turns).toBeGreaterThan(20);
  expect(await writes).toMatchObject([
    { rowsAffected: 1, lastInsertRowid: 1n, rows: [] },
    { rowsAffected: 1, lastInsertRowid: 2n, rows: [{ id: 2, name: "b" }] },
    { rowsAffected: 1, lastInsertRowid: 3n },
    [{ lastInsertRowid: 4n }, { rowsAffected: 1 }],
  ]);
  const { rows } = await client.execute("SELECT group_concat(rowid) AS ids FROM f WHERE f MATCH 'word79999'");
  expect(rows).toMatchObject([{ ids: "1,2,4" }]);
});

test("a long write that fails stores nothing, says why, and leaves the client as it was", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(`file:${db.path}`);
  await client.executeMultiple(SETUP);
  await client.execute({ sql: INSERT, args: ["a", "x"] });
  const taken = { code: "SQLITE_CONSTRAINT", extendedCode: "SQLITE_CONSTRAINT_UNIQUE" };
  for (let round = 0; round < 2; round++) {
    expect(await rejection(client.execute({ sql: INSERT, args: ["a", LONG] }))).toMatchObject(taken);
    const batch = client.batch([
      [INSERT, ["b", "x"]],
      [INSERT, ["a", LONG]],
    ]);
    expect(await rejection(batch)).toMatchObject({ ...taken, statementIndex: 1 });
  }
  await client.execute({ sql: INSERT, args: ["c", LONG] });
  expect((await client.execute("SELECT name FROM t ORDER BY name")).rows).toMatchObject([{ name: "a" }, { name: "c" }]);
});

test("calls on a transaction keep their order behind a long write", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(`file:${db.path}`);
  await client.executeMultiple(SETUP);
  const transaction = await client.transaction();
  const names = "SELECT group_concat(name) AS names FROM t";
  const calls = [
    transaction.execute({ sql: INSERT, args: ["a", LONG] }),
    transaction.execute(names),
    transaction.execute("SAVEPOINT s"),
    transaction.execute({ sql: INSERT, args: ["b", LONG] }),
    transaction.execute(names),
    transaction.execute("ROLLBACK TO s"),
    transaction.batch([[INSERT, ["c", "x"]], names]),
  ] as const;
  await Promise.all([...calls, transaction.commit()]);
  expect((await calls[1]).rows).toMatchObject([{ names: "a" }]);
  expect((await calls[4]).rows).toMatchObject([{ names: "a,b" }]);
  expect((await calls[6])[1]!.rows).toMatchObject([{ names: "a,c" }]);
  expect(transaction.state).toBe("committed");
  expect((await client.execute(names)).rows).toMatchObject([{ names: "a,c" }]);
});

test("a transaction that is closed during a long write rolls it back, and the write rejects", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(`file:${db.path}`);
  await client.executeMultiple(SETUP);
  for (const end of ["close", "rollback"] as const) {
    const transaction = await client.transaction();
    const write = rejection(transaction.execute({ sql: INSERT, args: ["a", LONG] }));
    const later = rejection(transaction.execute({ sql: INSERT, args: ["b", "x"] }));
    await transaction[end]();
    expect(await write).toMatchObject({ code: "TRANSACTION_CLOSED" });
    expect(await later).toMatchObject({ code: "TRANSACTION_CLOSED" });
  }
  const transaction = await client.transaction();
  await transaction.execute({ sql: INSERT, args: ["d", LONG] });
  const commit = transaction.commit();
  transaction.close();
  await commit;
  expect(transaction.state).toBe("committed");
  expect((await client.execute("SELECT name FROM t")).rows).toMatchObject([{ name: "d" }]);
});

test("memories and messages of a million characters leave the event loop its turns", async () => {
  await using temp = await tempStorage({ maxContentChars: 1_000_000 });
  const { memories, conversations } = temp.storage;
  const content = LONG.repeat(2).slice(0, 999_999);
  const { id } = await conversations.insert({});
  const message = await conversations.append(id, { role: "user", content: "x" });
  const calls = [
    () => memories.insert({ id: "a", content }),
    () => memories.put("a", { content: `${content}!` }),
    () => conversations.append(id, { role: "user", content }),
    () => conversations.updateMessage(message.id, { content }),
    () => conversations.insert({ messages: [{ role: "user", content }] }),
    () => temp.storage.transaction((tx) => tx.memories.insert({ content })),
  ];
  // Slices alone are about twenty turns.
  for (const call of calls) expect(await turnsDuring(call), String(call)).toBeGreaterThan(60);
  expect(await memories.search("word79999")).toHaveLength(2);
  expect(await conversations.search("word79999")).toHaveLength(3);
});

test("a wrong argument in a batch says which statement it is about", async () => {
  await using db = await tempDatabase();
  await using client = openTestClient(`file:${db.path}`);
  const statements = ["SELECT 1", { sql: "SELECT ?", args: [Symbol("x") as never] }];
  const transaction = await client.transaction("read");
  for (const batch of [transaction, client]) {
    const error = await rejection(batch.batch(statements));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ statementIndex: 1 });
  }
  transaction.close();
});
