import { createClient } from "@libsql/client";
import { openStorage } from "holdfast";
import { findMissingObjects, migrate, restoreMissingObjects, revert } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { column, openTestClient, rejection } from "../support/clients.js";
import { drizzleKit } from "../support/drizzle-kit.js";
import { type MigrationSource, rebuild, writeMigrations, writeSnapshot } from "../support/migrations.js";
import { startServer } from "../support/server.js";
import { tempDatabase } from "../support/temp.js";

type Target = "file" | "server";
const TARGETS: readonly Target[] = ["file", "server"];

/** An empty database of a kind, and a way to bring it to the end of a list of migrations. */
async function open(target: Target) {
  const temp = await tempDatabase();
  const server = target === "server" ? await startServer() : undefined;
  const client = server === undefined ? openTestClient(temp.url) : createClient({ url: server.url });
  return {
    temp,
    client,
    /** Applies the migrations, which have a snapshot that knows no index unless `indexes` names some. */
    async migrate(sources: readonly MigrationSource[], indexes: readonly string[] = []) {
      const folder = writeMigrations(temp.dir, sources);
      writeSnapshot(folder, "0000", "posts", indexes);
      await migrate(client, { folder, table: "app_migrations" });
      return folder;
    },
    values: (sql: string) => column(client, sql),
    sqlOf: async (name: string) => (await column(client, `SELECT sql FROM sqlite_schema WHERE name = '${name}'`))[0],
    /** Opens a storage on the file, which looks for objects that are missing. */
    async openStorage(folder: string) {
      const storage = await openStorage({
        url: server?.url ?? temp.url,
        migrations: { folder, table: "app_migrations" },
      });
      const { ok, findings } = await storage.check();
      await storage.close();
      return { ok, codes: findings.filter(({ severity }) => severity !== "info").map(({ code }) => code) };
    },
    async [Symbol.asyncDispose]() {
      if (Symbol.asyncDispose in client) await client[Symbol.asyncDispose]();
      else client.close();
      await server?.[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

const POSTS = {
  tag: "0000_posts",
  sql: `
    CREATE TABLE posts (id integer PRIMARY KEY AUTOINCREMENT, name text, body text, parent integer REFERENCES posts(id));
    CREATE TABLE log (line text);
    CREATE INDEX posts_by_hand ON posts (name) WHERE name > '';
    CREATE VIEW names AS SELECT id, name FROM posts;
    CREATE VIRTUAL TABLE posts_fts USING fts5(body, content='posts', content_rowid='id');
    INSERT INTO posts_fts(posts_fts, rank) VALUES('secure-delete', 1);
    CREATE TRIGGER posts_insert AFTER INSERT ON posts BEGIN
      INSERT INTO posts_fts (rowid, body) VALUES (new.id, new.body);
      INSERT INTO log VALUES ('insert ' || new.name);
    END;
    CREATE TRIGGER posts_name AFTER UPDATE OF name ON posts BEGIN INSERT INTO log VALUES ('rename ' || new.name); END;
    CREATE TRIGGER log_posts AFTER DELETE ON log BEGIN UPDATE posts SET body = body WHERE name = old.line; END;
    INSERT INTO posts VALUES (1, 'one', 'apple', NULL), (2, 'two', 'banana', 1), (9, 'gone', 'cherry', NULL);
    DELETE FROM posts WHERE id = 9;
    DELETE FROM log;`,
};
const COLUMNS = "id integer PRIMARY KEY AUTOINCREMENT, name text NOT NULL, body text, parent integer";
const RENAME_AND_REBUILD = {
  tag: "0001_articles",
  sql: `ALTER TABLE posts RENAME TO articles;--> statement-breakpoint\n${rebuild("articles", `${COLUMNS} REFERENCES articles(id)`, ["id", "name", "body", "parent"])}`,
};
const RENAME_COLUMN_AND_REBUILD = {
  tag: "0001_full_name",
  sql: `ALTER TABLE posts RENAME COLUMN name TO full_name;--> statement-breakpoint\n${rebuild("posts", `${COLUMNS.replace("name", "full_name")} REFERENCES posts(id)`, ["id", "full_name", "body", "parent"])}`,
};

describe.each(TARGETS)("on a %s", (target) => {
  // M1: the trigger and the index were lost, the full-text table named a table that was gone, the view was in the way.
  test("a rename and a rebuild in one migration keep all that belongs to the table", async () => {
    await using p = await open(target);
    await p.migrate([POSTS]);
    const folder = await p.migrate([POSTS, RENAME_AND_REBUILD]);
    await p.client.execute("INSERT INTO articles (name, body) VALUES ('three', 'damson')");
    await p.client.execute("UPDATE articles SET name = 'third' WHERE name = 'three'");
    expect(await p.values("SELECT line FROM log")).toEqual(["insert three", "rename third"]);
    expect(await p.values("SELECT name FROM names")).toEqual(["one", "two", "third"]);
    expect(await p.sqlOf("posts_by_hand")).toContain('"articles"');
    expect(await p.values("SELECT rowid FROM posts_fts WHERE posts_fts MATCH 'damson OR banana'")).toEqual([2, 10]);
    expect(await p.values("SELECT body FROM posts_fts")).toEqual(["apple", "banana", "damson"]);
    expect(await p.values("SELECT v FROM posts_fts_config WHERE k = 'secure-delete'")).toEqual([1]);
    expect(await p.values("SELECT name FROM sqlite_sequence")).toEqual(["articles"]);
    expect(await p.openStorage(folder)).toEqual({ ok: true, codes: [] });
  });

  // M2: `UPDATE OF name` never fired again; on a server every INSERT failed.
  test("a column rename and a rebuild in one migration keep the triggers, with the new name", async () => {
    await using p = await open(target);
    await p.migrate([POSTS]);
    const folder = await p.migrate([POSTS, RENAME_COLUMN_AND_REBUILD]);
    expect(await p.sqlOf("posts_name")).toContain("UPDATE OF full_name ON posts");
    await p.client.execute("INSERT INTO posts (full_name, body) VALUES ('three', 'damson')");
    await p.client.execute("UPDATE posts SET full_name = 'third' WHERE full_name = 'three'");
    expect(await p.values("SELECT line FROM log")).toEqual(["insert three", "rename third"]);
    expect(await p.openStorage(folder)).toEqual({ ok: true, codes: [] });
  });

  test("a rebuild, and a rename of a column and of the table after it, keep the triggers too", async () => {
    await using p = await open(target);
    await p.migrate([POSTS]);
    const sql = `${rebuild("posts", `${COLUMNS} REFERENCES posts(id)`, ["id", "name", "body", "parent"])}
      ALTER TABLE posts RENAME COLUMN name TO full_name; ALTER TABLE posts RENAME TO articles;`;
    const folder = await p.migrate([POSTS, { tag: "0001_after", sql }]);
    await p.client.execute("INSERT INTO articles (full_name, body) VALUES ('three', 'damson')");
    await p.client.execute("UPDATE articles SET full_name = 'third' WHERE full_name = 'three'");
    expect(await p.values("SELECT line FROM log")).toEqual(["insert three", "rename third"]);
    expect(await p.values("SELECT rowid FROM posts_fts WHERE posts_fts MATCH 'damson'")).toEqual([10]);
    expect(await p.openStorage(folder)).toEqual({ ok: true, codes: [] });
  });

  // M3: every openStorage rejected, or the trigger came back.
  test("what belonged to a table or view that was dropped does not come back with another of its name", async () => {
    await using p = await open(target);
    const first = {
      tag: "0000_x",
      sql: `CREATE TABLE log (line text);
        CREATE TABLE x (a text, b text);
        CREATE TRIGGER x_insert AFTER INSERT ON x BEGIN INSERT INTO log VALUES (new.a); END;
        CREATE TABLE y (a text);
        CREATE TRIGGER y_insert AFTER INSERT ON y BEGIN INSERT INTO log VALUES (new.a); END;
        CREATE VIEW v AS SELECT line, 1 AS old FROM log;
        CREATE TRIGGER v_insert INSTEAD OF INSERT ON v BEGIN INSERT INTO log VALUES (new.old); END;`,
    };
    const second = {
      tag: "0001_drop",
      sql: "DROP TABLE x; DROP TABLE y; DROP VIEW v; CREATE VIEW v AS SELECT line FROM log;",
    };
    const third = { tag: "0002_again", sql: "CREATE TABLE x (b text); CREATE TABLE y (a text);" };
    await p.migrate([first, second]);
    const folder = await p.migrate([first, second, third]);
    expect(await p.openStorage(folder)).toEqual({ ok: true, codes: [] });
    await p.client.execute("INSERT INTO y VALUES ('a')");
    expect(await p.values("SELECT line FROM log")).toEqual([]);
    expect(await p.values("SELECT name FROM sqlite_schema WHERE name IN ('x_insert', 'y_insert', 'v_insert')")).toEqual(
      [],
    );
  });

  // M5: accepted, and later every write failed.
  test.each([
    [
      "a trigger of another table",
      "CREATE TRIGGER log_ev AFTER INSERT ON log BEGIN UPDATE ev SET a = a; END;",
      "the trigger log_ev of log",
    ],
    ["a view", "CREATE VIEW evs AS SELECT a FROM ev;", "the view evs"],
    [
      "a foreign key of an empty table",
      "CREATE TABLE child (ev integer REFERENCES ev(id));",
      "the foreign key of child to ev_legacy",
    ],
  ])("a migration that leaves %s without its table is refused by name, and rolled back", async (_, sql, name) => {
    await using p = await open(target);
    const first = {
      tag: "0000_ev",
      sql: `CREATE TABLE ev (id integer PRIMARY KEY, a text); CREATE TABLE log (line text); ${sql}`,
    };
    const away = {
      tag: "0001_away",
      sql: "ALTER TABLE ev RENAME TO ev_legacy; CREATE TABLE ev (id integer PRIMARY KEY, a text); DROP TABLE ev_legacy;",
    };
    const harmless = { tag: "0002_harmless", sql: "CREATE TABLE more (a text);" };
    await p.migrate([first]);
    const before = await p.values("SELECT sql FROM sqlite_schema");
    const error = await rejection(p.migrate([first, away, harmless]));
    expect(error).toMatchObject({ code: "MIGRATION_FAILED", tag: "0001_away" });
    expect(error.message).toContain(`Migration 0001_away leaves ${name} that no longer works`);
    expect(await p.values("SELECT sql FROM sqlite_schema")).toEqual(before);
    expect(await p.values("SELECT count(*) FROM app_migrations")).toEqual([1]);
  });

  test("a renamed full-text column is refused by name", async () => {
    await using p = await open(target);
    await p.migrate([POSTS]);
    const error = await rejection(
      p.migrate([POSTS, { tag: "0001_text", sql: "ALTER TABLE posts RENAME COLUMN body TO content;" }]),
    );
    expect(error).toMatchObject({ code: "MIGRATION_FAILED" });
    expect(error.message).toContain("leaves the full-text table posts_fts that no longer works");
    expect(error.message).toContain("no such column: posts.body");
  });

  // M7: a server committed orphans.
  test.each([
    ["a foreign key over orphans", rebuild("child", "p integer REFERENCES parent(id)", ["p"])],
    ["a data migration that deletes parents", "DELETE FROM parent WHERE id = 2;"],
  ])("%s is refused by name, and rolled back", async (_, sql) => {
    await using p = await open(target);
    const first = {
      tag: "0000_first",
      sql: `CREATE TABLE parent (id integer PRIMARY KEY);
        CREATE TABLE child (p integer);
        CREATE TABLE other (p integer REFERENCES parent(id));
        INSERT INTO parent VALUES (1), (2);
        INSERT INTO child VALUES (1), (7);
        INSERT INTO other VALUES (2);`,
    };
    await p.migrate([first]);
    const error = await rejection(p.migrate([first, { tag: "0001_second", sql }]));
    expect(error).toMatchObject({ code: "MIGRATION_FAILED", tag: "0001_second" });
    expect(error.message).toMatch(/would leave .*rows? of (child|other) without the row that a foreign key refers to/);
    expect(await p.values("SELECT count(*) FROM parent")).toEqual([2]);
    expect(await p.values("SELECT count(*) FROM pragma_foreign_key_list('child')")).toEqual([0]);
  });

  // Foreign keys are off while migrations run, so ON DELETE and ON UPDATE did nothing, and the orphans were refused.
  test("rows that a migration deletes or renumbers cascade, and those of a rebuild do not", async () => {
    await using p = await open(target);
    const first = {
      tag: "0000_first",
      sql: `CREATE TABLE parent (id integer PRIMARY KEY, top integer REFERENCES parent ON DELETE CASCADE);
        CREATE TABLE child (id integer PRIMARY KEY, p integer REFERENCES parent(id) ON DELETE CASCADE ON UPDATE CASCADE);
        CREATE TABLE leaf (c integer REFERENCES child ON DELETE SET NULL, d integer DEFAULT 1 REFERENCES parent ON DELETE SET DEFAULT);
        CREATE TABLE pair (a integer, b integer, PRIMARY KEY (a, b));
        CREATE TABLE uses (a integer, b integer, FOREIGN KEY (a, b) REFERENCES pair (a, b) ON UPDATE CASCADE ON DELETE CASCADE);
        CREATE TABLE log (line text);
        CREATE TRIGGER child_gone AFTER DELETE ON child BEGIN INSERT INTO log VALUES (old.id); END;
        INSERT INTO parent VALUES (1, NULL), (2, NULL), (3, 2), (4, 3), (5, NULL);
        INSERT INTO child VALUES (10, 1), (20, 2), (40, 4), (50, 5);
        INSERT INTO leaf VALUES (40, 4), (10, 1);
        INSERT INTO pair VALUES (1, 1), (2, 2);
        INSERT INTO uses VALUES (1, 1), (2, 2), (NULL, 2);`,
    };
    await p.migrate([first]);
    const sql = `${rebuild("parent", "id integer PRIMARY KEY, top integer REFERENCES parent ON DELETE CASCADE", ["id", "top"])}
      WITH gone(id) AS (VALUES (2)) DELETE FROM parent WHERE id IN (SELECT id FROM gone);
      UPDATE parent SET id = 6 WHERE id = 5; UPDATE pair SET a = 9 WHERE a = 1; DELETE FROM pair WHERE b = 2;`;
    await p.migrate([first, { tag: "0001_second", sql }]);
    expect(await p.values("SELECT id FROM parent")).toEqual([1, 6]);
    expect(await p.values("SELECT id || ' ' || p FROM child")).toEqual(["10 1", "50 6"]);
    expect(await p.values("SELECT ifnull(c, 'none') || ' ' || d FROM leaf")).toEqual(["none 1", "10 1"]);
    expect(await p.values("SELECT ifnull(a, 'none') || ' ' || b FROM uses")).toEqual(["9 1", "none 2"]);
    expect(await p.values("SELECT line FROM log ORDER BY line")).toEqual(["20", "40"]);
    expect(await p.values("SELECT name FROM sqlite_schema WHERE name LIKE '%holdfast%'")).toEqual([]);

    const off = { tag: "0002_off", sql: "PRAGMA foreign_keys = OFF; DELETE FROM parent WHERE id = 6;" };
    const error = await rejection(p.migrate([first, { tag: "0001_second", sql }, off]));
    expect(error.message).toMatch(/would leave .*rows? of child without/);
  });

  test("orphans that were there before do not keep a migration from being applied", async () => {
    await using p = await open(target);
    const first = {
      tag: "0000_first",
      sql: `CREATE TABLE parent (id integer PRIMARY KEY); CREATE TABLE child (p integer REFERENCES parent(id));`,
    };
    await p.migrate([first]);
    await p.client.executeMultiple("PRAGMA foreign_keys=OFF; INSERT INTO child VALUES (7);");
    const again = rebuild("child", "p integer NOT NULL REFERENCES parent(id)", ["p"]);
    await p.migrate([first, { tag: "0001_second", sql: `${again}; ALTER TABLE child RENAME TO kid;` }]);
    expect(await p.values("SELECT p FROM kid")).toEqual([7]);
  });

  // A server compared the number of orphans in each table.
  test.each([
    ["another row", "DELETE FROM child WHERE id = 1; INSERT INTO child (id, p) VALUES (2, 8);"],
    ["the same row", "UPDATE child SET p = NULL, other = 8 WHERE id = 1;"],
    ["a row that comes to refer twice", "UPDATE child SET p2 = 9 WHERE id = 1; DELETE FROM child WHERE id = 3;"],
  ])("a migration that removes one orphan and adds another is refused: %s", async (_, sql) => {
    await using p = await open(target);
    const first = {
      tag: "0000_first",
      sql: `CREATE TABLE parent (id integer PRIMARY KEY); CREATE TABLE other (id integer PRIMARY KEY);
        CREATE TABLE child (id integer PRIMARY KEY, p integer REFERENCES parent(id), other integer REFERENCES other(id), p2 integer REFERENCES parent(id));`,
    };
    await p.migrate([first]);
    await p.client.executeMultiple("PRAGMA foreign_keys=OFF; INSERT INTO child (id, p) VALUES (1, 7), (3, 7);");
    const error = await rejection(p.migrate([first, { tag: "0001_second", sql }]));
    expect(error).toMatchObject({ code: "MIGRATION_FAILED", tag: "0001_second" });
    expect(error.message).toMatch(/would leave .*rows? of child without/);
    expect(await p.values("SELECT p FROM child")).toEqual([7, 7]);
    expect(await p.values("SELECT name FROM sqlite_schema WHERE name LIKE '%holdfast%'")).toEqual([]);
  });

  // M6: ids were used again.
  test("a rebuild keeps the counter of AUTOINCREMENT", async () => {
    await using p = await open(target);
    await p.migrate([POSTS]);
    await p.migrate([
      POSTS,
      {
        tag: "0001_rebuild",
        sql: rebuild("posts", `${COLUMNS} REFERENCES posts(id)`, ["id", "name", "body", "parent"]),
      },
    ]);
    expect(
      (await p.client.execute("SELECT name, seq FROM sqlite_sequence")).rows.map((row) => [row[0], row[1]]),
    ).toEqual([["posts", 9]]);
    expect(await p.values("INSERT INTO posts (name) VALUES ('next') RETURNING id")).toEqual([10]);
  });

  test("two rebuilds of a table in one migration keep the counter too", async () => {
    await using p = await open(target);
    await p.migrate([POSTS]);
    const again = rebuild("posts", `${COLUMNS} REFERENCES posts(id)`, ["id", "name", "body", "parent"]);
    await p.migrate([POSTS, { tag: "0001_twice", sql: `${again}\n${again}` }]);
    expect(await p.values("INSERT INTO posts (name) VALUES ('next') RETURNING id")).toEqual([10]);
    expect(await p.values("SELECT name FROM sqlite_sequence")).toEqual(["posts"]);
  });

  test("a table that is created again and dropped for good leaves no counter", async () => {
    await using p = await open(target);
    const counted = { tag: "0000_counted", sql: "CREATE TABLE counted (id integer PRIMARY KEY AUTOINCREMENT);" };
    await p.migrate([counted]);
    await p.client.execute("INSERT INTO counted VALUES (7)");
    await p.migrate([counted, { tag: "0001_gone", sql: `DROP TABLE counted;\n${counted.sql}\nDROP TABLE counted;` }]);
    expect(await p.values("SELECT name FROM sqlite_sequence")).toEqual([]);
  });

  // M8: a UNIQUE index that drizzle-kit had dropped was there again.
  test("an index that a rebuild does not re-create is refused by name if there are no snapshots", async () => {
    await using p = await open(target);
    const first = { tag: "0000_a", sql: "CREATE TABLE a (x text, y text); CREATE UNIQUE INDEX a_x ON a (x);" };
    const second = { tag: "0001_b", sql: rebuild("a", "x text NOT NULL, y text", ["x", "y"]) };
    const table = "app_migrations";
    let folder = writeMigrations(p.temp.dir, [first]);
    await migrate(p.client, { folder, table });
    folder = writeMigrations(p.temp.dir, [first, second]);
    const error = await rejection(migrate(p.client, { folder, table }));
    expect(error).toMatchObject({ code: "MIGRATION_FAILED", tag: "0001_b" });
    expect(error.message).toContain("drops the index a_x by rebuilding a");
    expect(error.message).toMatch(/Ship drizzle-kit's meta folder.*CREATE INDEX after.*DROP INDEX before/);
    for (const [sql, left] of [
      [`${second.sql}; CREATE UNIQUE INDEX a_x ON a (x);`, ["a_x"]],
      [`DROP INDEX a_x; ${second.sql}`, []],
    ] as const) {
      writeMigrations(p.temp.dir, [first, { ...second, sql, down: "SELECT 1;" }]);
      await migrate(p.client, { folder, table });
      expect(await p.values("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")).toEqual(left);
      await revert(p.client, { folder, table, steps: 1 });
    }
  });
});

describe("what a stock migrator has applied", () => {
  test("through renames is made again as it has to be now", async () => {
    await using p = await open("file");
    const name = {
      tag: "0001_rename",
      sql: "ALTER TABLE posts RENAME COLUMN name TO full_name;--> statement-breakpoint\nALTER TABLE posts RENAME TO articles;",
    };
    const again = {
      tag: "0002_rebuild",
      sql: `DROP VIEW names;--> statement-breakpoint\nDROP TRIGGER log_posts;--> statement-breakpoint\n${rebuild("articles", COLUMNS.replace("name", "full_name"), ["id", "full_name", "body", "parent"])}`,
    };
    const parts = POSTS.sql.replaceAll(/;\n {4}(?=CREATE|INSERT|DELETE)/g, ";\n--> statement-breakpoint\n");
    const folder = writeMigrations(p.temp.dir, [{ ...POSTS, sql: parts }, name, again]);
    await drizzleKit(p.temp, "migrate");
    expect(await p.values("SELECT name FROM sqlite_schema WHERE type = 'trigger'")).toEqual([]);
    const missing = await findMissingObjects(p.client, { folder });
    expect(missing.map((object) => object.name)).toEqual(["posts_fts", "posts_insert", "posts_name"]);
    await restoreMissingObjects(p.client, { folder });
    expect(await p.sqlOf("posts_name")).toContain('UPDATE OF full_name ON "articles"');
    await p.client.execute("INSERT INTO articles (full_name, body) VALUES ('three', 'damson')");
    expect(await p.values("SELECT line FROM log")).toEqual(["insert three"]);
    expect(await p.values("SELECT rowid FROM posts_fts WHERE posts_fts MATCH 'damson OR apple'")).toHaveLength(2);
    expect(await restoreMissingObjects(p.client, { folder })).toEqual([]);
  });

  test("and does not compile is reported by check", async () => {
    await using p = await open("file");
    const folder = writeMigrations(p.temp.dir, [{ tag: "0000_ev", sql: "CREATE TABLE ev (a text);" }]);
    await drizzleKit(p.temp, "migrate");
    await p.client.executeMultiple(
      "ALTER TABLE __drizzle_migrations RENAME TO app_migrations; CREATE VIEW evs AS SELECT a FROM ev; DROP TABLE ev;",
    );
    expect(await p.openStorage(folder)).toEqual({ ok: false, codes: ["UNCOMPILABLE"] });
  });
});
