import { createClient as createStockClient } from "@libsql/client";
import { openStorage } from "holdfast";
import { createClient } from "holdfast/client";
import { expect, test } from "vitest";
import { startChild } from "../../support/child.js";
import { rejection } from "../../support/clients.js";
import { startProxy } from "../../support/proxy.js";
import { contentStatements, differences, readReplicaFile, serverContents } from "../../support/replica-contents.js";
import { startServer } from "../../support/server.js";
import { tempDatabase } from "../../support/temp.js";

const ROUNDS = 6;

test("replicas of createClient in two processes share a file on a bad line, and it stays whole", async () => {
  await using server = await startServer();
  await using proxy = await startProxy(server.port);
  await using folder = await tempDatabase("replica.db");
  const direct = createStockClient({ url: server.url });
  await direct.execute("CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT)");
  const options = { url: folder.url, syncUrl: proxy.url };
  let answers = 0;
  let cuts = 0;
  // Each fifth answer ends midway, at another place each time.
  const fault = () => (++answers % 5 === 0 ? { cutAfterBytes: 1 + ((++cuts * 7919) % 20_000) } : undefined);
  const client = createClient(options);
  await client.sync();
  await using file = readReplicaFile(folder.path);
  await using other = startChild("replica-client", { ...options, name: "other", rounds: ROUNDS });
  proxy.behave({ fault });
  const codes = new Set<unknown>();
  const note = (error: { code?: unknown }) => codes.add(error.code);
  for (let round = 0; round < ROUNDS; round++) {
    await direct.execute({ sql: "INSERT INTO notes VALUES (?, ?)", args: [`d${round}`, "direct ".repeat(400)] });
    const { rowsAffected } = (await client
      .execute({ sql: "INSERT INTO notes VALUES (?, ?)", args: [`o${round}`, "own ".repeat(400)] })
      .catch(note)) as { rowsAffected?: number };
    expect(rowsAffected ?? 1).toBe(1);
    await client.sync().catch(note);
    await other.message<{ round: number }>((message) => message.round === round);
    const { integrity } = await file.read(["SELECT count(*) FROM notes"]);
    expect(integrity).toEqual(["ok"]);
  }
  proxy.behave({});
  for (const { failures = [] } of other.messages as { failures?: { code: string }[] }[]) failures.map(note);
  expect(cuts).toBeGreaterThan(2);
  expect([...codes].filter((code) => code !== "UNAVAILABLE")).toEqual([]);
  await client.sync();
  expect((await client.execute("SELECT count(*) FROM notes WHERE id LIKE 'd%'")).rows[0]![0]).toBe(ROUNDS);
  const statements = await contentStatements(server.url);
  const found = await file.read(statements);
  expect(differences(statements, found.answers, await serverContents(server.url, statements))).toEqual([]);
  await client.close();
  direct.close();
});

test("the client of a storage and a replica count their requests; createClient of a server does not", async () => {
  await using server = await startServer();
  await using folder = await tempDatabase("replica.db");
  const stock = createClient({ url: server.url });
  await stock.execute("CREATE TABLE t (a)");
  expect(stock.stats().remote).toBeUndefined();
  await stock.close();
  const replica = createClient({ url: folder.url, syncUrl: server.url });
  expect(replica.stats().remote, "it opens with its first call").toBeUndefined();
  await replica.execute("INSERT INTO t VALUES (1)");
  expect(replica.stats().remote).toMatchObject({ requests: expect.any(Number), unavailable: 0, active: 0 });
  await replica.close();
  await using storage = await openStorage(server.url);
  expect(storage.client.stats().remote!.requests).toBeGreaterThan(0);
});

test("createClient refuses the same replicas as openStorage, and keeps tokens out of its errors", async () => {
  await using server = await startServer();
  await using folder = await tempDatabase("plain.db");
  const plain = createClient({ url: folder.url });
  await plain.execute("CREATE TABLE t (a)");
  await plain.close();
  const refused = (config: object) => {
    try {
      createClient({ url: `file:${folder.dir}/new.db`, syncUrl: server.url, ...config });
    } catch (error) {
      return (error as { code?: string }).code ?? (error as Error).name;
    }
  };
  expect(refused({ url: folder.url })).toBe("REPLICA_UNUSABLE");
  expect(refused({ url: ":memory:" })).toBe("NOT_SUPPORTED");
  expect(refused({ syncUrl: "ws://127.0.0.1:1" })).toBe("NOT_SUPPORTED");
  expect(refused({ offline: true })).toBe("NOT_SUPPORTED");
  expect(refused({ readOnly: true })).toBe("NOT_SUPPORTED");
  expect(refused({ readers: 0 })).toBe("RangeError");
  expect(refused({ url: server.url, syncUrl: undefined, readOnly: true })).toBe("NOT_SUPPORTED");
  expect(() => createClient({ url: folder.url, syncUrl: "http://h/#authToken=secret" })).toThrow(/^(?!.*secret)/s);

  const url = `file:${folder.dir}/new.db`;
  const client = createClient({ url, syncUrl: `${server.url}?authToken=secret` });
  await server.kill();
  const away = await rejection(client.execute("SELECT 1"));
  expect(away).toMatchObject({ name: "LibsqlError", code: "UNAVAILABLE" });
  expect(`${away.stack}${away.cause}`).not.toContain("secret");
  await server.restart();
  // The next call opens what could not be opened.
  await client.execute("CREATE TABLE t (a)");
  expect((await client.execute("SELECT count(*) FROM t")).rows[0]![0]).toBe(0);
  expect(await rejection(client.execute("SELECT * FROM none"))).toMatchObject({ code: "SQLITE_ERROR" });
  const closing = client.close();
  expect(client.closed).toBe(true);
  await closing;
  expect(await rejection(client.execute("SELECT 1"))).toMatchObject({ code: "CLIENT_CLOSED" });
});
