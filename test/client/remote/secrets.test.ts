import { inspect } from "node:util";
import { openStorage, type Storage } from "holdfast";
import { expect, test } from "vitest";
import { redactor } from "../../../src/shared/secrets.js";
import { rejection } from "../../support/clients.js";
import { startProxy } from "../../support/proxy.js";
import { startServer } from "../../support/server.js";
import { tempDatabase } from "../../support/temp.js";

const TOKEN = "eyJhbGciOiJFZERTQSJ9.to+ken/with=odd&signs.0123456789";

/** All that anybody could write into a log. */
function spellOut(value: unknown): string {
  // Deeper, the tables of the schema, each of which leads to all others, take minutes.
  const parts = [inspect(value, { depth: 6, showHidden: true, getters: true }), String(value)];
  for (let at: unknown = value; at instanceof Error; at = at.cause) {
    parts.push(at.message, at.stack ?? "", inspect(at, { depth: 20, showHidden: true }));
  }
  try {
    parts.push(JSON.stringify(value) ?? "");
  } catch {
    // What has no JSON form is in no JSON log.
  }
  return parts.join("\n");
}

function expectNoToken(what: string, value: unknown): void {
  const text = spellOut(value);
  for (const spelling of [TOKEN, encodeURIComponent(TOKEN), TOKEN.slice(0, 30)]) {
    expect(text.includes(spelling), `the token in ${what}`).toBe(false);
  }
}

/** Ways to give the token with an address. */
const forms: readonly (readonly [string, (url: string) => { url: string; authToken?: string }])[] = [
  ["as an option", (url) => ({ url, authToken: TOKEN })],
  ["in the URL", (url) => ({ url: `${url}?authToken=${encodeURIComponent(TOKEN)}` })],
];

// Together, because they mostly wait for a server that says nothing.
test.concurrent.each(forms)("a token given %s is in no error, log, statistic or inspection", async (_, withToken) => {
  await using server = await startServer();
  await using proxy = await startProxy(server.port);
  await using folder = await tempDatabase();
  // The migrations are none of what the short time limit is for.
  await (await openStorage({ url: server.url })).close();
  const log: unknown[] = [];
  const note = (message: string) => log.push(message);
  const logger = { debug: note, info: note, warn: note, error: note };
  const options = { requestTimeoutMs: 3_000, logger, onError: (error: unknown) => log.push(error) };
  const target = withToken(proxy.url);
  const { url, authToken } = target;
  const replicaTarget = { url: folder.url, syncUrl: url, ...(authToken === undefined ? {} : { authToken }) };
  const use = async (storage: Storage) => {
    expectNoToken("the storage", storage);
    expectNoToken("the client", storage.client);
    expectNoToken("db", storage.db);
    expectNoToken("stats", await storage.stats());
    expectNoToken("health", await storage.health());
    expectNoToken("an SQL error", await rejection(storage.client.execute("SELECT * FROM missing")));
    expectNoToken("an error of db", await rejection(storage.db.run("SELECT * FROM missing")));
    expectNoToken("NOT_SUPPORTED", await rejection(storage.client.execute("BEGIN")));
    await storage.sessions.start("taken");
    expectNoToken("CONFLICT", await rejection(storage.sessions.start("taken")));
    proxy.behave({ cutsAnswers: true });
    expectNoToken("an unknown outcome", await rejection(storage.memories.insert({ content: "x" })));
    expectNoToken(
      "a failed transaction",
      await rejection(storage.transaction((tx) => tx.memories.count(), { mode: "deferred" })),
    );
    proxy.behave({ isSilent: true });
    expectNoToken("a time-out", await rejection(storage.memories.insert({ content: "x" })));
    expectNoToken("a failed sync", await rejection(storage.sync()));
    expectNoToken("health without a server", await storage.health());
    proxy.behave({});
    proxy.dropAll();
    await storage.close();
    expectNoToken("CLOSED", await rejection(storage.memories.count()));
    expectNoToken("CLOSED of the client", await rejection(storage.client.execute("SELECT 1")));
  };
  await use(await openStorage({ ...options, ...target }));
  await using fresh = await openStorage({ url: server.url });
  await fresh.purgeProject("default");
  await use(await openStorage({ ...options, ...replicaTarget }));
  expect(log.length).toBeGreaterThan(0);
  for (const entry of log) expectNoToken("the log", entry);
});

test("a token that a server quotes, or that no header can carry, is in no error either", async () => {
  await using server = await startServer();
  const quoting = (async (request: Request) =>
    new Response(`no such ${request.headers.get("authorization")}`, {
      status: 500,
      headers: { "content-type": "text/plain" },
    })) as typeof fetch;
  const quoted = await rejection(openStorage({ url: server.url, authToken: TOKEN, fetch: quoting }));
  expect(quoted).toMatchObject({ code: "UNAVAILABLE" });
  expect(quoted.message).toContain("[redacted]");
  expectNoToken("a quoting answer", quoted);
  const broken = `${TOKEN}\nX`;
  expectNoToken("an impossible header", await rejection(openStorage({ url: server.url, authToken: broken })));
  for (const url of [`nonsense://host?authToken=${TOKEN}`, `http://host#x?authToken=${TOKEN}`, "libsql://"]) {
    expectNoToken(url, await rejection(openStorage({ url, authToken: TOKEN })));
  }
});

test("a token is taken out of a text in each of its spellings", () => {
  const odd = 'to+ken/with="quotes"\\and more';
  const redact = redactor([odd, undefined, ""]);
  for (const spelling of [odd, encodeURIComponent(odd), JSON.stringify(odd).slice(1, -1)]) {
    expect(redact(`before ${spelling} after, ${spelling}`)).toBe("before [redacted] after, [redacted]");
  }
  expect(redact("nothing of it")).toBe("nothing of it");
});

test("a token that the server refuses is UNAUTHORIZED", async () => {
  await using server = await startServer({ args: ["--http-auth", "basic:dXNlcjpwYXNz"] });
  const error = await rejection(openStorage({ url: server.url, authToken: TOKEN }));
  expect(error).toMatchObject({ code: "UNAUTHORIZED", retryable: false, message: expect.stringMatching(/authToken/) });
  expectNoToken("a refusal", error);
});
