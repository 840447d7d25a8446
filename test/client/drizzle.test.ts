import { eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import { nextTurns, openTestClient, rejection } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

const notes = sqliteTable("notes", {
  id: integer("id").primaryKey(),
  body: text("body").notNull().unique(),
  size: integer("size"),
});

const places = ["file", ":memory:"] as const;
describe.each(places)("Drizzle on %s", (place) => {
  const open = async () => {
    const dir = await tempDatabase();
    const client = openTestClient(place === "file" ? dir.url : ":memory:");
    await client.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL UNIQUE, size INTEGER)");
    const db = drizzle({ client });
    return {
      db,
      client,
      bodies: async () => (await db.select().from(notes).orderBy(notes.id)).map(({ body }) => body),
      async [Symbol.asyncDispose]() {
        await client[Symbol.asyncDispose]();
        await dir[Symbol.asyncDispose]();
      },
    };
  };

  test("queries, prepared queries, batches and RETURNING work", async () => {
    await using it = await open();
    const [row] = await it.db.insert(notes).values({ body: "a", size: 5 }).returning();
    expect(row).toEqual({ id: 1, body: "a", size: 5 });
    const { rowsAffected, lastInsertRowid } = await it.db.insert(notes).values([{ body: "b" }, { body: "c" }]);
    expect([rowsAffected, lastInsertRowid]).toEqual([2, 3n]);
    const byBody = it.db
      .select()
      .from(notes)
      .where(eq(notes.body, sql.placeholder("body")))
      .prepare();
    for (const body of ["a", "b", "nothing", "a"]) {
      expect((await byBody.all({ body })).map((found) => found.body)).toEqual(body === "nothing" ? [] : [body]);
    }
    expect(await byBody.get({ body: "c" })).toMatchObject({ id: 3 });
    expect(await it.db.$count(notes)).toBe(3);
    const [, found] = await it.db.batch([
      it.db.update(notes).set({ size: 9 }).where(eq(notes.body, "b")),
      it.db.select({ size: notes.size }).from(notes).where(eq(notes.body, "b")),
    ]);
    expect(found).toEqual([{ size: 9 }]);
    expect(await it.db.get(sql`SELECT 1 AS one`)).toMatchObject({ one: 1 });
  });

  test("errors keep their code in the cause", async () => {
    await using it = await open();
    await it.db.insert(notes).values({ body: "a" });
    const error = await rejection(Promise.resolve(it.db.insert(notes).values({ body: "a" })));
    expect(error.cause).toMatchObject({ code: "SQLITE_CONSTRAINT", extendedCode: "SQLITE_CONSTRAINT_UNIQUE" });
  });

  test("a transaction is stored as a whole, or not at all", async () => {
    await using it = await open();
    await it.db.transaction(async (tx) => {
      await tx.insert(notes).values({ body: "a" });
      await tx.insert(notes).values({ body: "b" });
    });
    await rejection(
      it.db.transaction(async (tx) => {
        await tx.insert(notes).values({ body: "c" });
        throw new Error("no");
      }),
    );
    await it.db.transaction(async (tx) => tx.rollback()).catch(() => undefined);
    expect(await it.bodies()).toEqual(["a", "b"]);
  });

  test("nested transactions are undone alone", async () => {
    await using it = await open();
    await it.db.transaction(async (tx) => {
      await tx.insert(notes).values({ body: "outer" });
      await tx.transaction(async (inner) => {
        await inner.insert(notes).values({ body: "kept" });
        await inner
          .transaction(async (innermost) => {
            await innermost.insert(notes).values({ body: "undone" });
            throw new Error("no");
          })
          .catch(() => undefined);
        await inner.insert(notes).values({ body: "kept too" });
      });
      await tx
        .transaction(async (inner) => {
          await inner.transaction(async (innermost) => innermost.insert(notes).values({ body: "undone with it" }));
          throw new Error("no");
        })
        .catch(() => undefined);
      await tx.insert(notes).values({ body: "last" });
    });
    expect(await it.bodies()).toEqual(["outer", "kept", "kept too", "last"]);
  });

  test("siblings started together keep their own work each, whichever of them fail", async () => {
    // Drizzle names them alike: one reported success while its row was rolled back with its sibling.
    await using it = await open();
    for (let round = 0; round < 8; round++) {
      const fails = (i: number) => ((round >> (i % 3)) & 1) === 1;
      const body = (i: number, part: string) => `${round}-${i}-${part}`;
      const outcomes = await it.db.transaction(async (tx) =>
        Promise.allSettled(
          Array.from({ length: 6 }, (_, i) =>
            tx.transaction(async (sibling) => {
              await sibling.insert(notes).values({ body: body(i, "a") });
              await nextTurns(i % 2);
              await sibling.transaction(async (inner) => inner.insert(notes).values({ body: body(i, "b") }));
              if (fails(i)) throw new Error("no");
              await sibling.insert(notes).values({ body: body(i, "c") });
            }),
          ),
        ),
      );
      const stored = await it.bodies();
      for (const [i, { status }] of outcomes.entries()) {
        expect(status).toBe(fails(i) ? "rejected" : "fulfilled");
        const parts = ["a", "b", "c"].filter((part) => stored.includes(body(i, part)));
        expect(parts, `round ${round}, sibling ${i}`).toEqual(fails(i) ? [] : ["a", "b", "c"]);
      }
    }
  });

  test("transactions started together wait for each other", async () => {
    await using it = await open();
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        it.db.transaction(async (tx) => {
          const count = await tx.$count(notes);
          await nextTurns(1);
          await tx.insert(notes).values({ body: String(i), size: count });
        }),
      ),
    );
    const sizes = (await it.db.select().from(notes).orderBy(notes.id)).map(({ size }) => size);
    expect(sizes).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });
});
