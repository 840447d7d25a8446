// Runs the main calls with timers that are numbers, as in an Electron renderer or jsdom, and without setImmediate.
// Reports `{ event: "done" }`, and ends because no timer of a closed storage keeps the process alive.
import { strict as assert } from "node:assert";
import http from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const timers = new Map();
let count = 0;
function replace(kind) {
  const set = globalThis[`set${kind}`];
  const clear = globalThis[`clear${kind}`];
  globalThis[`set${kind}`] = (...args) => {
    timers.set(++count, set(...args));
    return count;
  };
  globalThis[`clear${kind}`] = (number) => {
    assert(number === undefined || typeof number === "number");
    clear(timers.get(number));
  };
}
replace("Timeout");
replace("Interval");
const { setImmediate, clearImmediate } = globalThis;
delete globalThis.setImmediate;
delete globalThis.clearImmediate;

const { openStorage } = await import("holdfast");
const { Autosave } = await import("holdfast/stories");
const { FileLock } = await import("holdfast/memvid");

const { dir, serverUrl } = JSON.parse(process.argv[2]);
const tell = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const until = async (what, holds) => {
  for (let tries = 0; !(await holds()); tries++) {
    assert(tries < 3000, `${what} did not come`);
    await sleep(10);
  }
};
const code = (promise) =>
  promise.then(
    () => "resolved",
    (error) => error.code,
  );
const path = (name) => join(dir, name);

tell({ event: "file" });
const brief = await openStorage({
  url: path("app.db"),
  readers: 2,
  idleTimeoutMs: 20,
  acquireTimeoutMs: 50,
  transactionTimeoutMs: 200,
  checkpoint: { walBytes: 100_000 },
});
const { client } = brief;
// Waits for its turn, however busy the machine is.
const insert = async (content) => {
  while ((await code(brief.memories.insert({ content }))) === "ACQUIRE_TIMEOUT");
};
const storage = await openStorage({ url: path("app.db") });
const { memories, conversations, graph, stories } = storage;
await memories.insertMany(
  Array.from({ length: 1000 }, (_, i) => ({ id: `m${i}`, content: `memory ${i} ${"x".repeat(200)}` })),
);
assert.equal((await memories.search("memory 7")).length, 10);
assert.equal((await memories.search("emory 99")).length > 0, true);
// A pinned reader prevents a reset of the log, so the checkpointer backs off with its timer.
const reader = await client.transaction("read");
await reader.execute("SELECT count(*) FROM memories");
// The other reader serves single statements, so this call waits with a timer.
assert.equal(await code(client.pool.acquire()), "ACQUIRE_TIMEOUT");
for (let i = 0; i < 300; i++) await insert(`more ${i} ${"y".repeat(500)}`);
reader.close();
await until("a checkpoint", async () => {
  await insert("one more");
  return (await storage.stats()).walBytes < 3_000_000;
});
await until("the idle readers' end", () => client.stats().pool.idle <= 1);
const held = await client.transaction("write");
assert.equal(await code(brief.memories.insert({ content: "waits in vain" })), "ACQUIRE_TIMEOUT");
await until("the end of a transaction held for too long", () => held.closed);
await brief.close();
await conversations.insert({ id: "c", messages: [{ role: "user", content: "hello" }] });
assert.equal((await conversations.search("ell")).length, 1);
await graph.addNodes(Array.from({ length: 2000 }, (_, i) => ({ id: `n${i}`, kind: "k", name: `n${i}` })));
await graph.addEdges(Array.from({ length: 1999 }, (_, i) => ({ from: `n${i}`, to: `n${i + 1}`, type: "t" })));
assert.equal((await graph.bfs("n0")).length, 2000);
await storage.backup(path("copy.db"), { onProgress: () => undefined });
assert.equal((await storage.check({ deep: true })).ok, true);
await storage.prune({ maxRows: 500 });
const autosave = new Autosave({ service: stories, debounce: 5, interval: 20 });
autosave.start();
autosave.markDirty("s", { title: "edited" });
await until("the autosave", () => stories.hasStory("s"));
autosave.stop();
await storage.close();

tell({ event: "lock" });
const [one, two] = [new FileLock(path("held")), new FileLock(path("held"))];
assert.equal(await one.acquire(), true);
assert.equal(await two.acquire(30), false);
assert.deepEqual(await Promise.all([one.acquire(30), two.acquire(30)]), [false, false]);
await one.release();

tell({ event: "server" });
// Node's own fetch needs Node's timers; a page has a different fetch.
Object.assign(globalThis, { setImmediate, clearImmediate });
async function fetchByHttp(input, init) {
  const request = new Request(input, init);
  const body = Buffer.from(await request.arrayBuffer());
  return new Promise((resolve, reject) => {
    const { method, headers } = request;
    const sent = http.request(
      request.url,
      { method, headers: Object.fromEntries(headers), agent: false },
      async (answer) => {
        const chunks = [];
        for await (const chunk of answer) chunks.push(chunk);
        resolve(new Response(Buffer.concat(chunks), { status: answer.statusCode, headers: answer.headers }));
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}
const remote = await openStorage({ url: serverUrl, requestTimeoutMs: 20_000, fetch: fetchByHttp });
await Promise.all(Array.from({ length: 30 }, (_, i) => remote.memories.insert({ content: `remote ${i}` })));
assert.equal(await remote.memories.count(), 30);
await remote.close();

tell({ event: "replica" });
const replica = await openStorage({ url: path("replica.db"), syncUrl: serverUrl, syncInterval: 1, fetch: fetchByHttp });
await replica.memories.insert({ content: "through the replica" });
assert.equal(await replica.memories.count(), 31);
await replica.close();
tell({ event: "done" });
