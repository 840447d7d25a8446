import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { join } from "node:path";
import { createClient } from "holdfast/client";
import { transcript } from "../transcript.mjs";

const request = new AsyncLocalStorage();

await transcript(async ({ dir, note }) => {
  const client = createClient({ url: `file:${join(dir, "app.db")}` });
  const messages = [];
  const listener = (message, channel) => {
    const { sql, rows, role, state, busy, error } = message;
    messages.push({ channel, sql, rows, role, state, busy, code: error?.code, request: request.getStore() });
  };
  const broken = () => {
    throw new Error("broken subscriber");
  };
  // Only what calls send: how often a call waits differs from run to run.
  const channels = ["holdfast:statement", "holdfast:transaction", "holdfast:checkpoint"];
  process.on("warning", () => undefined);
  for (const channel of channels) subscribe(channel, listener);
  subscribe("holdfast:statement", broken);
  const sent = () => messages.splice(0);
  await client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)");
  await note("a statement", sent);
  const insert = (name) => client.execute("INSERT INTO t (name) VALUES (?)", [name]);
  await Promise.all(["a", "b"].map((name) => request.run(name, () => insert(name))));
  await note("two requests that share a commit", sent);
  await insert("a").catch(() => undefined);
  await note("an error", sent);
  await client.batch(["SELECT * FROM t", "DELETE FROM t"], "write");
  await note("a batch", sent);
  const transaction = await client.transaction();
  await transaction.execute("SELECT 1");
  await transaction.rollback();
  await note("a transaction", sent);
  await client.checkpoint();
  await note("a checkpoint", sent);
  for (const channel of channels) unsubscribe(channel, listener);
  await insert("c");
  await note("without subscribers", sent);
  await client.close();
});
