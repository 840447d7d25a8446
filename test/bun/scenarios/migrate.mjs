import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "holdfast/client";
import { migrate, readJournal, status, verify } from "holdfast/migrate";
import { transcript } from "../transcript.mjs";

/** Writes a folder like drizzle-kit. */
function writeMigrations(folder, sources) {
  mkdirSync(join(folder, "meta"), { recursive: true });
  const entries = sources.map(([tag], idx) => ({ idx, version: "6", when: 1000 * (idx + 1), tag, breakpoints: true }));
  writeFileSync(join(folder, "meta/_journal.json"), JSON.stringify({ version: "7", dialect: "sqlite", entries }));
  for (const [tag, sql] of sources) writeFileSync(join(folder, `${tag}.sql`), sql);
}

await transcript(async ({ dir, note }) => {
  const folder = join(dir, "drizzle");
  const first = [
    "0000_first",
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT);\n--> statement-breakpoint\nCREATE INDEX t_b ON t (b);",
  ];
  const second = ["0001_second", "INSERT INTO t (b) VALUES ('one'), ('two');"];
  const broken = ["0002_broken", "CREATE TABLE u (x);--> statement-breakpoint\nSELEC nothing;"];
  const client = createClient({ url: `file:${join(dir, "m.db")}` });
  const rows = async (sql) => (await client.execute(sql)).rows.map((row) => Array.from(row));

  await note("no folder", () => migrate(client, { folder }));
  writeMigrations(folder, [first]);
  await note("journal", () => readJournal(folder));
  await note("status", status(client, { folder }));
  await note("verify", verify(client, { folder }));
  await note("migrate", migrate(client, { folder }));
  await note("again", migrate(client, { folder }));
  writeMigrations(folder, [first, second]);
  await note("pending", status(client, { folder }));
  await client.execute("INSERT INTO t (b) VALUES ('zero')");
  await note("with a backup", async () => {
    const result = await migrate(client, { folder, backupTo: join(dir, "backups") });
    return { ...result, backup: typeof result.backup, files: readdirSync(join(dir, "backups")).length };
  });
  await note("rows", rows("SELECT * FROM t"));
  writeMigrations(folder, [first, second, broken]);
  await note("broken", migrate(client, { folder }));
  await note("nothing of it", rows("SELECT name FROM sqlite_schema WHERE name = 'u'"));
  await note("ledger", async () => (await rows("SELECT hash, created_at FROM __drizzle_migrations")).length);
  writeMigrations(folder, [first, ["0001_second", "INSERT INTO t (b) VALUES ('edited');"]]);
  await note("edited", migrate(client, { folder }));
  await note("edited status", status(client, { folder }));
  writeMigrations(folder, [first]);
  await note("of newer code", verify(client, { folder }));
  await note("at once", async () => {
    writeMigrations(join(dir, "other"), [
      ["0000_w", "CREATE TABLE w (x);"],
      ["0001_w", "INSERT INTO w VALUES (1);"],
    ]);
    const options = { folder: join(dir, "other"), table: "others" };
    const clients = [1, 2, 3].map(() => createClient({ url: `file:${join(dir, "m.db")}` }));
    const results = await Promise.all(clients.map((one) => migrate(one, options)));
    await Promise.all(clients.map((one) => one.close()));
    return { applied: results.map(({ applied }) => applied.length).sort(), rows: await rows("SELECT * FROM w") };
  });
  await note("wrong option", () => migrate(client, { folder: 5 }));
  await client.close();
  await note("closed", status(client, { folder }));
});
