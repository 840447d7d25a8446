import { createClient } from "@libsql/client";
import { openStorage } from "holdfast";
import { migrate, status, verify } from "holdfast/migrate";
import { expect, test } from "vitest";
import { startChild } from "../../support/child.js";
import { column, rejection } from "../../support/clients.js";
import { rebuild, writeMigrations } from "../../support/migrations.js";
import { startProxy } from "../../support/proxy.js";
import { startServer } from "../../support/server.js";
import { tempDatabase } from "../../support/temp.js";

const STEPS = [
  {
    tag: "0000_one",
    sql: "CREATE TABLE parent (id integer PRIMARY KEY, x text); CREATE TABLE child (p REFERENCES parent ON DELETE CASCADE);",
  },
  { tag: "0001_rows", sql: "INSERT INTO parent (x) VALUES ('1'); INSERT INTO child VALUES (1);" },
  { tag: "0002_rebuild", sql: rebuild("parent", "id integer PRIMARY KEY, x text, y text", ["id", "x"]) },
];

test("of several processes that migrate a server at once, one applies and the others find it done", async () => {
  await using server = await startServer();
  await using temp = await tempDatabase();
  const folder = writeMigrations(temp.dir, STEPS);
  const children = Array.from({ length: 3 }, () => startChild("migrate", { url: server.url, folder }));
  try {
    const exits = await Promise.all(children.map((child) => child.exited));
    expect(exits.map(({ code, stderr }) => `${code} ${stderr}`)).toEqual(["0 ", "0 ", "0 "]);
    const applied = children.map(({ messages }) => (messages.at(-1) as { applied: string[] }).applied.length);
    expect(applied.sort()).toEqual([0, 0, 3]);
  } finally {
    for (const child of children) await child[Symbol.asyncDispose]();
  }
  const client = createClient({ url: server.url });
  expect(await column(client, "SELECT count(*) FROM parent")).toEqual([1]);
  expect(await column(client, "SELECT count(*) FROM child")).toEqual([1]);
  expect(await column(client, "SELECT count(*) FROM __drizzle_migrations")).toEqual([3]);
  expect(await status(client, { folder })).toEqual({
    applied: STEPS.map(({ tag }) => tag),
    pending: [],
    changed: [],
    unknown: [],
  });
  await verify(client, { folder });
  client.close();
});

test("clients of one process that open a new server at once all find it migrated", async () => {
  await using server = await startServer();
  const storages = await Promise.all(Array.from({ length: 4 }, () => openStorage(server.url)));
  await Promise.all(storages.map((storage, i) => storage.memories.insert({ id: `m${i}`, content: "x" })));
  expect(await storages[0]!.memories.count()).toBe(4);
  await Promise.all(storages.map((storage) => storage.close()));
});

test.each(["migrator", "server"])("a %s that is killed in the midst leaves all or nothing", async (victim) => {
  await using server = await startServer();
  await using proxy = await startProxy(server.port);
  await using temp = await tempDatabase();
  // Enough to be in the midst of when the request has gone out.
  const many = Array.from({ length: 500 }, (_, i) => `INSERT INTO parent (x) VALUES ('${i}');`).join("\n");
  const folder = writeMigrations(temp.dir, [STEPS[0]!, { tag: "0001_many", sql: many }]);
  await using child = startChild("migrate", { url: proxy.url, folder });
  // Three requests look at what is there, the fourth is the migration.
  while (proxy.requests < 4) await proxy.nextRequest();
  if (victim === "migrator") child.kill("SIGKILL");
  else await server.kill();
  await child.exited;
  if (victim === "server") await server.restart();
  const client = createClient({ url: server.url });
  const { applied, pending } = await status(client, { folder });
  expect([applied.length, pending.length]).toEqual(applied.length === 0 ? [0, 2] : [2, 0]);
  const tables = await column(client, "SELECT name FROM sqlite_schema WHERE name IN ('parent', 'child')");
  expect(tables).toHaveLength(applied.length);
  if (applied.length > 0) expect(await column(client, "SELECT count(*) FROM parent")).toEqual([500]);
  await migrate(client, { folder });
  expect(await column(client, "SELECT count(*) FROM parent")).toEqual([500]);
  client.close();
});

test("a migration that fails on a server, or on a replica's primary, leaves it as it was", async () => {
  await using server = await startServer();
  await using temp = await tempDatabase();
  const folder = writeMigrations(temp.dir, [
    ...STEPS,
    { tag: "0003_bad", sql: "INSERT INTO parent (nope) VALUES (1);" },
  ]);
  const migrations = { folder, table: "own_ledger" };
  const onServer = await rejection(openStorage({ url: server.url, migrations }));
  expect(onServer).toMatchObject({ code: "MIGRATION_FAILED", message: expect.stringContaining("0003_bad") });
  const onReplica = await rejection(openStorage({ url: temp.url, syncUrl: server.url, migrations }));
  expect(onReplica).toMatchObject({ code: "MIGRATION_FAILED" });
  await using storage = await openStorage(server.url);
  expect(
    await storage.client.execute("SELECT name FROM sqlite_schema WHERE name IN ('parent', 'own_ledger')"),
  ).toMatchObject({ rows: [] });
});
