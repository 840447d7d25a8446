import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { type Change, openStorage, type StorageError } from "holdfast";
import { memories as memoriesTable, messageRefs } from "holdfast/schema";
import { describe, expect, test } from "vitest";
import { openTestClient, rejection } from "../support/clients.js";
import { fileTest, tempFileStorage, tempStorage, testTarget } from "../support/storage.js";
import { tempDatabase } from "../support/temp.js";

describe("transaction", () => {
  test("stores all of its writes, in several projects, or none", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    const result = await storage.transaction(async (tx) => {
      await tx.memories.insert({ id: "a", content: "one" });
      await tx.project("b").memories.insertMany([
        { id: "b", content: "two" },
        { id: "c", content: "three" },
      ]);
      await tx.sessions.start("s");
      expect(await tx.memories.search("one")).toHaveLength(1);
      return "done";
    });
    expect(result).toBe("done");
    expect(await storage.projects()).toEqual([
      { project: "b", count: 2 },
      { project: "default", count: 2 },
    ]);
    const own = new Error("mine");
    const failing = storage.transaction(async (tx) => {
      await tx.memories.insert({ id: "z", content: "never" });
      throw own;
    });
    expect(await rejection(failing)).toBe(own);
    expect(await storage.memories.get("z")).toBeUndefined();
  });

  test("only a failed savepoint is undone, and savepoints that started together keep their own work", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    await storage.transaction(async (tx) => {
      const settled = await Promise.allSettled([
        tx.savepoint((sp) => sp.memories.insert({ id: "one", content: "x" })),
        tx.savepoint(async (sp) => {
          await sp.memories.insert({ id: "two", content: "x" });
          await sp.savepoint((inner) => inner.memories.insert({ id: "two-inner", content: "x" }));
          throw new Error("undo");
        }),
        tx.savepoint((sp) => sp.memories.insert({ id: "three", content: "x" })),
        tx.memories.insert({ id: "four", content: "x" }),
      ]);
      expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
    });
    expect((await storage.memories.list()).items.map(({ id }) => id).sort()).toEqual(["four", "one", "three"]);
  });

  test("insertMany inside a transaction stores all or nothing, and the transaction continues", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    await storage.memories.insert({ id: "taken", content: "x" });
    await storage.transaction(async (tx) => {
      const failed = tx.memories.insertMany([
        { id: "first", content: "x" },
        { id: "taken", content: "x" },
      ]);
      expect(await rejection(failed)).toMatchObject({ code: "CONFLICT" });
      await tx.memories.insert({ id: "after", content: "x" });
    });
    expect((await storage.memories.list()).items.map(({ id }) => id)).toEqual(["after", "taken"]);
  });

  test("inside the callback, a write through the outer storage fails at once, and a read sees the committed state", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    let late: Promise<unknown> | undefined;
    await storage.transaction(async (tx) => {
      await tx.memories.insert({ id: "inside", content: "x" });
      const writes: (() => unknown)[] = [
        () => storage.memories.insert({ content: "x" }),
        () => storage.project("p").sessions.start(),
        () => storage.transaction(async () => undefined),
        () => storage.client.execute("DELETE FROM memories"),
        () => storage.client.batch(["DELETE FROM memories"], "write"),
        () => storage.client.transaction("write"),
        () => storage.client.executeMultiple("DELETE FROM memories"),
        () => storage.client.migrate(["DELETE FROM memories"]),
        () => storage.db.delete(memoriesTable),
        () => storage.memories.put("x", { content: "x" }),
        // These read first, and find nothing: "inside" is not committed yet.
        () => storage.memories.update("inside", { content: "x" }),
        () => storage.memories.restore("inside"),
      ];
      // Only the client of a file has these methods.
      if (testTarget === "file") {
        writes.push(
          () => storage.client.checkpoint(),
          () => storage.client.pool.acquire({ role: "writer" }),
        );
      }
      for (const write of writes) {
        const error = await rejection((async () => write())());
        expect(error.code ?? (error.cause as StorageError).code).toBe("WRONG_HANDLE");
      }
      expect(await storage.memories.get("inside")).toBeUndefined();
      expect(await storage.memories.count()).toBe(0);
      // Work that outlives the callback is ordinary outer work.
      late = new Promise((resolve) => setImmediate(resolve)).then(async () => {
        await ended;
        return storage.memories.insert({ id: "late", content: "x" });
      });
    });
    release();
    await late;
    expect(await storage.memories.count()).toBe(2);
  });
  let release!: () => void;
  const ended = new Promise<void>((resolve) => {
    release = resolve;
  });

  test("on :memory:, which has one connection, outer reads are refused too", async () => {
    await using temp = await tempStorage({ url: ":memory:" });
    await temp.storage.transaction(async (tx) => {
      await tx.memories.insert({ content: "x" });
      expect(await rejection(temp.storage.memories.count())).toMatchObject({ code: "WRONG_HANDLE" });
    });
    expect(await temp.storage.memories.count()).toBe(1);
  });

  test("the outer handle inside a savepoint's callback is WRONG_HANDLE instead of a deadlock", async () => {
    await using temp = await tempStorage();
    await temp.storage.transaction(async (tx) => {
      await tx.savepoint(async (sp) => {
        expect(await rejection(tx.memories.insert({ content: "x" }))).toMatchObject({ code: "WRONG_HANDLE" });
        expect(await rejection(tx.savepoint(async () => undefined))).toMatchObject({ code: "WRONG_HANDLE" });
        await sp.memories.insert({ content: "y" });
      });
      await tx.memories.insert({ content: "z" });
    });
    expect(await temp.storage.memories.count()).toBe(2);
  });

  test("a handle used after its end throws TRANSACTION_CLOSED", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    const handles: (() => Promise<unknown>)[] = [];
    await storage.transaction(async (tx) => {
      handles.push(
        () => tx.memories.insert({ content: "x" }),
        () => tx.savepoint(async () => undefined),
      );
      handles.push(() => tx.project("late").sessions.latest());
      await tx.savepoint(async (sp) => {
        handles.push(() => sp.memories.count());
      });
      expect(await rejection(handles[3]!())).toMatchObject({ code: "TRANSACTION_CLOSED" });
    });
    for (const use of handles) expect(await rejection(use())).toMatchObject({ code: "TRANSACTION_CLOSED" });
    expect(await storage.memories.count()).toBe(0);
  });

  test("writes of nothing through the outer handle are WRONG_HANDLE, as others are", async () => {
    await using temp = await tempStorage();
    const { memories, sessions, conversations, graph, stories } = temp.storage;
    await conversations.insert({ id: "c" });
    await stories.saveStory("s", { title: "x" });
    await temp.storage.transaction(async () => {
      for (const call of [
        () => memories.insertMany([]),
        () => sessions.insertMany([]),
        () => conversations.insertMany([]),
        () => conversations.append("c", []),
        () => graph.addNodes([]),
        () => graph.addEdges([]),
        () => stories.restore("s"),
      ])
        expect(await rejection(call()), String(call)).toMatchObject({ code: "WRONG_HANDLE" });
    });
    expect(await memories.insertMany([])).toEqual([]);
    expect(await conversations.append("c", [])).toEqual([]);
  });

  // "Use the storage instead" would have stored the second half alone.
  fileTest("a handle whose transaction was rolled back by a time limit says so, as the transaction does", async () => {
    await using db = await tempDatabase();
    await using storage = await openStorage({ url: db.url, transactionTimeoutMs: 20 });
    await using other = openTestClient(db.url);
    const said = /held longer than 20 ms \(transactionTimeoutMs\) and was rolled back/;
    const outer = await rejection(
      storage.transaction(async (tx) => {
        await tx.memories.insert({ content: "first half" });
        // Another client has the write lock once the time limit has ended this transaction.
        await (await other.transaction("write")).rollback();
        for (const use of [
          () => tx.memories.insert({ content: "second" }),
          () => tx.savepoint((sp) => sp.memories.count()),
        ])
          expect(await rejection(use())).toMatchObject({
            code: "TRANSACTION_CLOSED",
            message: expect.stringMatching(said),
          });
      }),
    );
    expect(outer).toMatchObject({ code: "TRANSACTION_CLOSED", message: expect.stringMatching(said) });
    expect(await storage.memories.count()).toBe(0);
  });

  test("a read transaction sees one snapshot and refuses writes", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    await storage.transaction(
      async (tx) => {
        expect(await tx.memories.count()).toBe(0);
        expect(await rejection(tx.memories.insert({ content: "x" }))).toMatchObject({ code: "READONLY" });
      },
      { mode: "read" },
    );
  });

  test("tx.db is Drizzle inside the transaction, and nested transactions are savepoints", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    await storage.transaction(async (tx) => {
      await tx.memories.insert({ id: "kept", content: "x" });
      expect(await tx.db.select({ id: memoriesTable.id }).from(memoriesTable)).toEqual([{ id: "kept" }]);
      const failed = tx.db.transaction(async (inner) => {
        await inner.delete(memoriesTable);
        throw new Error("undo");
      });
      expect((await rejection(failed)).message).toBe("undo");
      await tx.db.transaction(async (inner) => {
        await inner.update(memoriesTable).set({ source: "drizzle" });
      });
    });
    expect(await storage.memories.get("kept")).toMatchObject({ source: "drizzle" });
  });

  fileTest("db.query has the tables of the schema, in the storage, in transactions and in savepoints", async () => {
    const notes = sqliteTable("notes", { id: integer().primaryKey() });
    await using temp = await tempFileStorage();
    await using storage = await openStorage({ url: temp.db.url, schema: { notes } });
    await storage.client.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY)");
    await storage.transaction(async (tx) => {
      await tx.db.insert(notes).values({ id: 1 });
      expect(await tx.db.query.notes.findMany()).toEqual([{ id: 1 }]);
      await tx.savepoint(async (inner) => {
        expect(await inner.db.query.notes.findFirst()).toEqual({ id: 1 });
      });
    });
    expect(await storage.db.transaction((tx) => tx.query.notes.findMany())).toEqual([{ id: 1 }]);
    expect(await storage.db.query.notes.findMany()).toEqual([{ id: 1 }]);
  });

  test("work that runs next to a Drizzle transaction that rolls back is kept, and only kept work is announced", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    const announced: string[] = [];
    storage.on("change", ({ ids }) => announced.push(...ids));
    await storage.transaction(async (tx) => {
      let proceed!: () => void;
      const sibling = new Promise<void>((resolve) => {
        proceed = resolve;
      });
      await Promise.allSettled([
        tx.db.transaction(async (inner) => {
          await inner.insert(memoriesTable).values(row("undone"));
          proceed();
          throw new Error("undo");
        }),
        sibling.then(() => tx.memories.insert({ id: "sibling", content: "x" })),
      ]);
    });
    expect((await storage.memories.list()).items.map(({ id }) => id)).toEqual(["sibling"]);
    expect(announced).toEqual(["sibling"]);
  });

  // It used to wait for itself, for 30 s.
  test("inside storage.db.transaction, a write through the storage is WRONG_HANDLE at once, also in nested transactions", async () => {
    await using temp = await tempStorage({ acquireTimeoutMs: Number.POSITIVE_INFINITY });
    const { storage } = temp;
    for (const write of [
      () => storage.memories.insert({ content: "x" }),
      () => storage.transaction(async () => undefined),
      () => storage.db.transaction(async () => undefined),
    ]) {
      expect(await rejection(storage.db.transaction(write))).toMatchObject({ code: "WRONG_HANDLE" });
    }
    const outer = storage.db.transaction(async () => storage.db.insert(memoriesTable).values(row("outer")));
    expect((await rejection(outer)).cause).toMatchObject({ code: "WRONG_HANDLE" });
    await storage.db.transaction(async (tx) => {
      await tx.insert(memoriesTable).values(row("kept"));
      await rejection(tx.transaction(async (nested) => nested.rollback()));
      expect(await storage.memories.count(), "a read sees what is committed").toBe(0);
    });
    const undone = storage.db.transaction(async (tx) => {
      await tx.delete(memoriesTable);
      tx.rollback();
    });
    expect((await rejection(undone)).name).toBe("DrizzleError");
    expect(await storage.memories.count()).toBe(1);
    const refused = storage.db.transaction(async (tx) => {
      await tx.run("PRAGMA defer_foreign_keys = ON");
      await tx.insert(messageRefs).values({ project: "p", messageRowId: 999, kind: "k", target: "t", createdAt: 0 });
    });
    expect((await rejection(refused)).name, "a failed COMMIT is an error of the client").toBe("LibsqlError");
  });

  test("the outer handle inside a Drizzle transaction is refused instead of a deadlock", async () => {
    await using temp = await tempStorage();
    await temp.storage.transaction(async (tx) => {
      await tx.db.transaction(async (inner) => {
        expect(await rejection(tx.memories.insert({ content: "x" }))).toMatchObject({ code: "WRONG_HANDLE" });
        expect(await rejection(tx.db.transaction(async () => 1))).toMatchObject({ code: "WRONG_HANDLE" });
        await inner.transaction(async (nested) => {
          await nested.insert(memoriesTable).values(row("deep"));
        });
        expect((await rejection(inner.transaction(async (nested) => nested.rollback()))).name).toMatch(/Error/);
      });
    });
    expect(await temp.storage.memories.count()).toBe(1);
  });

  // A query of Drizzle starts when it is awaited, which used to be outside of the guarded callback.
  // The message named a function of the library, because the package was not in a folder named holdfast.
  fileTest("a call that waited for it in vain says where it was begun, in the caller's code", async () => {
    await using temp = await tempFileStorage({ acquireTimeoutMs: 20 });
    const { storage } = temp;
    let message = "";
    async function beginAndWait() {
      await storage.project("a").transaction(() => waiting);
    }
    const waiting = new Promise<void>((resolve) => {
      setImmediate(async () => {
        message = (await rejection(storage.memories.insert({ content: "x" }))).message;
        resolve();
      });
    });
    await beginAndWait();
    expect(message).toMatch(/a write transaction taken \d+ ms ago at beginAndWait .*transactions\.test\.ts/);
  });

  test("a query that the callback returns without awaiting it is guarded too", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    const outer = storage.transaction(() => storage.db.delete(memoriesTable) as never);
    expect(((await rejection(outer)).cause as StorageError).code).toBe("WRONG_HANDLE");
    const inner = storage.transaction((tx) => tx.savepoint(() => tx.db.delete(memoriesTable) as never));
    expect(((await rejection(inner)).cause as StorageError).code).toBe("WRONG_HANDLE");
    await storage.memories.insert({ content: "the writer is free again" });
  });

  test("while the transaction is open, the outer storage refuses work that outlives a savepoint", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    await storage.transaction(async (tx) => {
      let late!: Promise<unknown>;
      await tx.savepoint(async () => {
        late = new Promise((resolve) => setImmediate(resolve)).then(() => storage.memories.insert({ content: "x" }));
        late.catch(() => undefined);
      });
      expect(await rejection(late)).toMatchObject({ code: "WRONG_HANDLE" });
    });
  });

  test("the error names wrong options and callbacks, and two read transactions may run at the same time", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    expect(await rejection(storage.transaction(5 as never))).toMatchObject({ name: "TypeError" });
    expect(await rejection(storage.transaction(async () => 1, { mdoe: "read" } as never))).toMatchObject({
      name: "TypeError",
    });
    expect(await rejection(storage.transaction(async () => 1, { mode: "x" as never }))).toMatchObject({
      name: "TypeError",
    });
    await storage.transaction(async (tx) => {
      expect(await rejection(tx.savepoint(5 as never))).toMatchObject({ name: "TypeError" });
      expect(await storage.transaction(async (read) => read.memories.count(), { mode: "read" })).toBe(0);
    });
  });

  test("a project's transaction accesses only that project", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    await storage.project("p").transaction(async (tx) => {
      const repositories = ["conversations", "graph", "memories", "sessions", "stories"];
      expect(Object.keys(tx).sort()).toEqual([...repositories, "savepoint"].sort());
      await tx.memories.insert({ content: "x" });
      await tx.savepoint((sp) => sp.memories.insert({ content: "y" }));
    });
    expect(await storage.projects()).toEqual([{ project: "p", count: 2 }]);
  });
});

function row(id: string) {
  const text = {
    type: "context",
    source: "s",
    content: "x",
    metadata: "{}",
    contentHash: "",
    checksum: "",
    searchText: "",
  };
  return { project: "default", id, createdAt: 1, updatedAt: 1, ...text };
}

describe("change events", () => {
  test("are emitted for work that the callback did not await, too", async () => {
    await using temp = await tempStorage();
    const ids: string[] = [];
    temp.storage.on("change", (change) => ids.push(...change.ids));
    await temp.storage.transaction(async (tx) => {
      void tx.memories.insert({ id: "not-awaited", content: "x" });
    });
    expect(await temp.storage.memories.count()).toBe(1);
    expect(ids).toEqual(["not-awaited"]);
  });

  test("reach an asynchronous listener, and its failure becomes an error event", async () => {
    await using temp = await tempStorage();
    const failed = new Promise((resolve) => temp.storage.on("error", resolve));
    temp.storage.on("change", async () => {
      throw new Error("a listener's own");
    });
    await temp.storage.memories.insert({ content: "x" });
    expect(await failed).toMatchObject({ message: "a listener's own" });
  });

  test("are emitted only after the commit, in order, and not for work that was rolled back", async () => {
    await using temp = await tempStorage();
    const { storage } = temp;
    const changes: Change[] = [];
    const stop = storage.on("change", (change) => changes.push(change));
    storage.on("change", () => {
      throw new Error("a listener's own");
    });
    const errors: unknown[] = [];
    storage.on("error", (error) => errors.push(error));
    await storage.memories.insert({ id: "a", content: "x" });
    await storage.transaction(async (tx) => {
      await tx.memories.delete("a");
      await tx.savepoint((sp) => sp.sessions.start("s"));
      await tx
        .savepoint(async (sp) => {
          await sp.memories.insert({ id: "undone", content: "x" });
          throw new Error("undo");
        })
        .catch(() => undefined);
      expect(changes).toHaveLength(1);
    });
    await rejection(
      storage.transaction(async (tx) => {
        await tx.memories.insert({ id: "never", content: "x" });
        throw new Error("no");
      }),
    );
    await storage.memories.restore("a");
    await storage.purgeProject("default");
    expect(changes.map(({ area, action, ids }) => `${area} ${action} ${ids}`)).toEqual([
      "memories insert a",
      "memories delete a",
      "sessions insert s",
      "memories restore a",
      "memories purge a",
      "sessions purge s",
    ]);
    expect(errors).toHaveLength(6);
    stop();
    await storage.memories.insert({ content: "x" });
    expect(changes).toHaveLength(6);
  });
});
