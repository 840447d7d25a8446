import { createClient } from "@libsql/client";
import { openStorage } from "holdfast";
import { findMissingObjects, restoreMissingObjects } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { column, openSecond, openTestClient } from "../support/clients.js";
import { drizzleKit } from "../support/drizzle-kit.js";
import { rebuild, writeMigrations } from "../support/migrations.js";
import { tempStorage } from "../support/storage.js";
import { tempDatabase } from "../support/temp.js";

const TRIGGERS = "SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name";
const FIRST = {
  tag: "0000_first",
  sql: `
    CREATE TABLE notes (id integer PRIMARY KEY, body text, old text);
    CREATE VIRTUAL TABLE notes_fts USING fts5(body, content = 'notes', content_rowid = 'id');
    CREATE TRIGGER notes_insert AFTER INSERT ON notes BEGIN INSERT INTO notes_fts (rowid, body) VALUES (new.id, new.body); END;
    CREATE TRIGGER notes_delete AFTER DELETE ON notes BEGIN INSERT INTO notes_fts (notes_fts, rowid, body) VALUES ('delete', old.id, old.body); END;
    CREATE TRIGGER passing AFTER INSERT ON notes BEGIN SELECT 1; END;
    DROP TRIGGER passing;
    INSERT INTO notes VALUES (1, 'apple', ''), (2, 'banana', '');`.replaceAll(";\n", ";\n--> statement-breakpoint\n"),
};
const REBUILD = {
  tag: "0001_rebuild",
  sql: rebuild("notes", "id integer PRIMARY KEY, body text NOT NULL", ["id", "body"]),
};

/** A file whose rebuild was applied by stock drizzle-kit, and a row that was written afterwards. */
async function losing() {
  const temp = await tempDatabase();
  const folder = writeMigrations(temp.dir, [FIRST, REBUILD]);
  await drizzleKit(temp, "migrate");
  const client = openTestClient(temp.url);
  await client.execute("INSERT INTO notes VALUES (3, 'cherry')");
  await client.execute("DELETE FROM notes WHERE id = 1");
  return {
    temp,
    folder,
    client,
    found: (word: string) => column(client, `SELECT rowid FROM notes_fts WHERE notes_fts MATCH '${word}'`),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

describe("objects that a rebuild by stock drizzle-kit has lost", () => {
  test("are found and re-created, and the index is filled with the missed rows", async () => {
    await using p = await losing();
    expect(await column(p.client, TRIGGERS)).toEqual([]);
    expect(await p.found("cherry")).toEqual([]);
    const lost = ["notes_insert", "notes_delete"].map((name) => ({ type: "trigger", name, table: "notes" }));
    expect(await findMissingObjects(p.client, { folder: p.folder })).toEqual(lost);
    expect(await restoreMissingObjects(p.client, { folder: p.folder })).toEqual(lost);
    expect(await column(p.client, TRIGGERS)).toEqual(["notes_delete", "notes_insert"]);
    expect(await p.found("cherry")).toEqual([3]);
    expect(await p.found("apple")).toEqual([]);
    await p.client.execute("INSERT INTO notes_fts(notes_fts, rank) VALUES('integrity-check', 1)");
    expect(await restoreMissingObjects(p.client, { folder: p.folder })).toEqual([]);
    using fresh = openSecond(p.temp.path);
    expect(fresh.all("PRAGMA integrity_check")).toEqual([["ok"]]);
  });

  test("are re-created by openStorage, for the caller's own migrations too, and logged", async () => {
    await using p = await losing();
    const told: string[] = [];
    const say = (message: string) => void told.push(message);
    const logger = { info: say, warn: say, error: say };
    await p.client.execute("ALTER TABLE __drizzle_migrations RENAME TO theirs");
    const storage = await openStorage({ url: p.temp.url, logger, migrations: { folder: p.folder, table: "theirs" } });
    expect(told).toContainEqual(expect.stringContaining("the trigger notes_insert, the trigger notes_delete"));
    await storage.client.execute("INSERT INTO notes VALUES (4, 'damson')");
    expect(
      (await storage.client.execute("SELECT rowid FROM notes_fts WHERE notes_fts MATCH 'damson'")).rows[0]![0],
    ).toBe(4);
    await storage.close();
  });

  test("are re-created through a client without a pool", async () => {
    await using p = await losing();
    const stock = createClient({ url: p.temp.url });
    expect(await restoreMissingObjects(stock, { folder: p.folder })).toHaveLength(2);
    stock.close();
    expect(await p.found("cherry")).toEqual([3]);
  });

  // openStorage rejected, and the file could not be opened any more.
  test("are reported by check with their SQL if they no longer fit; the file opens, and the others are re-created", async () => {
    await using temp = await tempDatabase();
    const old = "CREATE TRIGGER uses_old AFTER INSERT ON notes BEGIN UPDATE notes SET body = new.old WHERE 0; END;";
    const first = { ...FIRST, sql: `${FIRST.sql}\n--> statement-breakpoint\n${old}` };
    const folder = writeMigrations(temp.dir, [first, REBUILD]);
    await drizzleKit(temp, "migrate");
    const table = "theirs";
    const told: string[] = [];
    const say = (message: string) => void told.push(message);
    const open = async () =>
      openStorage({
        url: temp.url,
        logger: { info: say, warn: say, error: say },
        migrations: { folder, table },
      });
    await using client = openTestClient(temp.url);
    await client.execute(`ALTER TABLE __drizzle_migrations RENAME TO ${table}`);
    let storage = await open();
    expect(told).toContainEqual(expect.stringContaining("no such column: new.old"));
    await storage.client.execute("INSERT INTO notes VALUES (3, 'cherry')");
    const { ok, findings } = await storage.check();
    expect(ok).toBe(false);
    expect(findings.filter(({ severity }) => severity === "error")).toEqual([
      { code: "OBJECT_MISSING", severity: "error", message: expect.stringContaining(`It was: ${old.slice(0, -1)}`) },
    ]);
    await storage.repair(findings);
    await storage.close();
    expect(await column(client, TRIGGERS)).toContain("notes_insert");
    expect(await column(client, TRIGGERS)).not.toContain("uses_old");
    expect(await column(client, "SELECT rowid FROM notes_fts WHERE notes_fts MATCH 'cherry'")).toEqual([3]);
    const missing = await findMissingObjects(client, { folder, table });
    expect(missing).toMatchObject([{ name: "uses_old", unfit: { why: "no such column: new.old" } }]);
    expect(await restoreMissingObjects(client, { folder, table })).toEqual([]);

    writeMigrations(temp.dir, [first, REBUILD, { tag: "0002_settled", sql: "DROP TRIGGER IF EXISTS uses_old;" }]);
    storage = await open();
    expect((await storage.check()).ok).toBe(true);
    await storage.close();
  });

  test("stay missing if another trigger of the same full-text index no longer fits", async () => {
    await using temp = await tempDatabase();
    // A delete trigger alone would remove entries that the index does not have, which makes it malformed.
    const insert =
      "CREATE TRIGGER old_insert AFTER INSERT ON notes BEGIN INSERT INTO notes_fts (rowid, body) VALUES (new.id, new.old); END;";
    const sql = FIRST.sql.replace(/CREATE TRIGGER notes_insert.*END;/, insert);
    const folder = writeMigrations(temp.dir, [{ ...FIRST, sql }, REBUILD]);
    await drizzleKit(temp, "migrate");
    await using client = openTestClient(temp.url);
    expect(await restoreMissingObjects(client, { folder })).toEqual([]);
    expect(await findMissingObjects(client, { folder })).toMatchObject([
      { name: "old_insert", unfit: { why: "no such column: new.old" } },
      { name: "notes_delete", unfit: { why: expect.stringContaining("notes_fts") } },
    ]);
    await client.executeMultiple("INSERT INTO notes VALUES (3, 'cherry'); DELETE FROM notes;");
    using fresh = openSecond(temp.path);
    expect(fresh.all("PRAGMA integrity_check")).toEqual([["ok"]]);
  });
});

test("a storage whose triggers and full-text table were dropped finds its memories again when it is opened", async () => {
  await using t = await tempStorage();
  await t.storage.memories.insert({ id: "m1", content: "apples before" });
  await t.storage.client.executeMultiple(
    "DROP TRIGGER memories_fts_insert; DROP TRIGGER memories_fts_update; DROP TRIGGER memories_fts_delete; DROP TABLE memories_fts;",
  );
  await t.storage.memories.insert({ id: "m2", content: "apples meanwhile" });
  await t.storage.close();
  const again = await openStorage(t.db.url);
  const found = await again.memories.search("apples");
  expect(found.map(({ memory, match }) => `${memory.id} ${match}`).sort()).toEqual(["m1 keyword", "m2 keyword"]);
  await again.close();
});

test("a file without missing objects is only read: another process may hold the lock", async () => {
  await using t = await tempStorage();
  using _ = openSecond(t.db.path, ["BEGIN IMMEDIATE"]);
  const second = await openStorage({ url: t.db.url, migrateTimeoutMs: 0 });
  await second.close();
});
