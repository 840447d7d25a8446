import { openStorage } from "holdfast";
import { describe, expect, test } from "vitest";
import { runChild } from "../../support/child.js";
import { rejection } from "../../support/clients.js";
import { startServer } from "../../support/server.js";
import { tempDatabase } from "../../support/temp.js";
import { hasOpenssl, startTlsProxy } from "../../support/tls.js";

test.each(["ws", "wss", "WS", "ftp"])("a server at %s: is refused, with the schemes that do", async (scheme) => {
  await using server = await startServer();
  await using folder = await tempDatabase();
  const url = `${scheme}://127.0.0.1:${server.port}?authToken=secret`;
  const refusals = [
    await rejection(openStorage({ url: folder.url, syncUrl: url })),
    ...(scheme === "ftp" ? [] : [await rejection(openStorage(url))]),
  ];
  for (const error of refusals) {
    expect(error).toMatchObject({
      code: "NOT_SUPPORTED",
      retryable: false,
      message: expect.stringMatching(/libsql:\/\/ or https:\/\/, and http:\/\//),
    });
    expect(String(error.stack)).not.toContain("secret");
  }
  if (scheme === "ftp") expect((await rejection(openStorage(url))).name).toBe("RangeError");
});

test("libsql:// with tls=0 reaches a server without TLS, as url and as syncUrl; without it the error says so", async () => {
  await using server = await startServer();
  await using folder = await tempDatabase();
  const plain = `libsql://127.0.0.1:${server.port}`;
  await using storage = await openStorage(`${plain}?tls=0`);
  await storage.memories.insert({ id: "a", content: "x" });
  await using replica = await openStorage({ url: folder.url, syncUrl: `${plain}?tls=0` });
  expect(await replica.memories.get("a")).toBeDefined();
  for (const url of [plain, `https://127.0.0.1:${server.port}`]) {
    const error = await rejection(openStorage(url));
    expect(error).toMatchObject({ code: "UNAVAILABLE", retryable: true });
    expect(error.message).toMatch(/^The server https:\/\/[\w.]+:\d+ speaks no TLS\. Use http:\/\//);
    await using unread = await openStorage({ url, migrate: "skip" });
    // What was never sent is known not to be stored.
    expect(await rejection(unread.memories.insert({ content: "x" }))).toMatchObject({
      code: "UNAVAILABLE",
      retryable: true,
      outcome: undefined,
      cause: { outcome: "notApplied" },
    });
  }
});

describe.skipIf(!hasOpenssl)("a server behind TLS", () => {
  test.each(["libsql", "https"])("is reached by %s:// where its certificate is trusted", async (scheme) => {
    await using server = await startServer();
    await using proxy = await startTlsProxy(server.port);
    const options = { url: `${scheme}://localhost:${proxy.port}` };
    const result = await runChild("tls-client", { options }, { NODE_EXTRA_CA_CERTS: proxy.certificate });
    expect(result).toEqual({ found: ["by-tls"] });
    expect(proxy.requests).toBeGreaterThan(3);
    await using storage = await openStorage(server.url);
    expect(await storage.memories.get("by-tls")).toBeDefined();
    expect(await storage.sessions.get("by-tls")).toBeDefined();
  });

  test("feeds an embedded replica where SSL_CERT_FILE names its certificate too", async () => {
    await using server = await startServer();
    await using proxy = await startTlsProxy(server.port);
    await using folder = await tempDatabase();
    const options = { url: folder.url, syncUrl: `libsql://localhost:${proxy.port}` };
    const trusted = { NODE_EXTRA_CA_CERTS: proxy.certificate, SSL_CERT_FILE: proxy.certificate };
    expect(await runChild("tls-client", { options }, trusted)).toEqual({ found: ["by-tls"] });
  });

  test("is UNAVAILABLE where its certificate is not trusted, or is made out to another name, and sees nothing", async () => {
    await using server = await startServer();
    await using proxy = await startTlsProxy(server.port);
    const url = `libsql://localhost:${proxy.port}`;
    const untrusted = {
      code: "UNAVAILABLE",
      retryable: true,
      message: expect.stringMatching(
        /certificate is not trusted \(self[- ]signed.*NODE_EXTRA_CA_CERTS.*(Try again|Nothing was stored: try again) once/,
      ),
    };
    expect(await rejection(openStorage({ url, requestTimeoutMs: 5_000 }))).toMatchObject(untrusted);
    await using unread = await openStorage({ url, migrate: "skip", requestTimeoutMs: 5_000 });
    expect(await rejection(unread.memories.insert({ content: "x" }))).toMatchObject({
      ...untrusted,
      outcome: undefined,
      cause: { outcome: "notApplied" },
    });
    expect(await rejection(unread.transaction((tx) => tx.memories.insert({ content: "x" })))).toMatchObject(untrusted);
    await using folder = await tempDatabase();
    const replica = openStorage({ url: folder.url, syncUrl: url, requestTimeoutMs: 5_000 });
    expect(await rejection(replica)).toMatchObject({ code: "UNAVAILABLE" });
    expect(proxy.requests).toBe(0);
    const options = { url: `libsql://127.0.0.1:${proxy.port}` };
    const misnamed = await runChild("tls-client", { options }, { NODE_EXTRA_CA_CERTS: proxy.certificate });
    expect(misnamed).toMatchObject({ code: "UNAVAILABLE", retryable: true, causeOutcome: "notApplied" });
    expect(misnamed.message).toMatch(/certificate is not trusted \(.*altnames/);
    expect(proxy.requests).toBe(0);
  });
});
