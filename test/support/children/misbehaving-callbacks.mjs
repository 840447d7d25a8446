// Passes every callback of a storage a function that throws, one that rejects and one that returns nonsense. Reports
// the result of each call, and reports errors that escape to the process as `{ event: "escaped" }`.
import { strict as assert } from "node:assert";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { openStorage, restore } from "holdfast";
import { copyStories, openStories } from "holdfast/stories";

const { dir } = JSON.parse(process.argv[2]);
const tell = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
process.on("uncaughtException", (error) => tell({ event: "escaped", message: error.message }));
process.on("unhandledRejection", (error) => tell({ event: "escaped", message: String(error) }));
const path = (name) => join(dir, name);
const outcome = (promise) =>
  promise.then(
    () => "resolved",
    (error) => error.message,
  );
/** Waits until errors of listeners and promises have surfaced. */
const settle = async () => {
  for (let turn = 0; turn < 3; turn++) await nextTurn();
};
const throws = () => {
  throw new Error("thrown");
};
const rejects = async () => {
  throw new Error("rejected");
};

// Listeners and onError: each change is stored, and the working listeners get it.
for (const bad of [throws, rejects]) {
  const logged = [];
  const told = [];
  const errors = [];
  const storage = await openStorage({
    url: path(`${bad.name}.db`),
    onError: bad,
    logger: { info: (message) => logged.push(message), error: bad },
  });
  storage.on("change", bad);
  storage.on("error", bad);
  storage.on("change", (change) => told.push(change.action));
  storage.on("error", (error) => errors.push(error.message));
  await storage.memories.insert({ id: "m", content: "stored" });
  await storage.transaction((tx) => tx.memories.insert({ id: "n", content: "stored" }));
  await storage.purgeProject("nothing");
  await settle();
  assert.deepEqual(told, ["insert", "insert"]);
  assert.deepEqual(errors, Array(2).fill(bad === throws ? "thrown" : "rejected"));
  // A failure reaches the listeners although the logger fails.
  await storage.client.execute("ALTER TABLE memories RENAME TO hidden");
  assert.match(await outcome(storage.memories.count()), /no such table/);
  await settle();
  assert.match(errors.at(-1), /no such table/);
  await storage.client.execute("ALTER TABLE hidden RENAME TO memories");
  assert.equal(await storage.memories.count(), 2);
  const { stories } = storage;
  stories.on("story_saved", bad);
  stories.on("storage_error", bad);
  await stories.saveStory("s", { title: "s" });
  assert.equal((await stories.loadStory("s")).title, "s");
  await storage.close();
  // Migrations with a logger that fails are applied.
  const logger = { info: bad, warn: bad, error: bad };
  const fresh = await openStorage({ url: path(`fresh-${bad.name}.db`), logger });
  assert.equal((await fresh.health()).ok, true);
  await fresh.close();
}
tell({ event: "listeners" });

// If onProgress throws, the call rejects. If its promise rejects, the call or the `error` event reports it.
const storage = await openStorage({ url: path("app.db") });
await storage.memories.insertMany(Array.from({ length: 500 }, (_, i) => ({ id: `m${i}`, content: `memory ${i}` })));
await storage.conversations.insert({ id: "c", messages: [{ id: "t", role: "user", content: "hello" }] });
await storage.graph.addNodes(["a", "b"].map((id) => ({ id, kind: "k", name: id })));
await storage.graph.addEdge({ from: "a", to: "b", type: "t" });
await storage.stories.saveStory("s", { title: "s" });
let lines = "";
for await (const line of storage.export()) lines += line;
const target = await openStories({ path: ":memory:" });
const embed = async (texts) => texts.map(() => [1, 2]);
const calls = {
  backup: (onProgress) => storage.backup(path("copy.db"), { onProgress }),
  backups: (onProgress) => storage.backups(path("copies"), { onProgress }),
  check: (onProgress) => storage.check({ onProgress }),
  reindex: (onProgress) => storage.reindex({ onProgress }),
  prune: (onProgress) => storage.prune({ maxRows: 499, onProgress }),
  import: (onProgress) => storage.import(lines, { onConflict: "skip", onProgress }),
  export: async (onProgress) => {
    for await (const _ of storage.export({ onProgress }));
  },
  reembed: (onProgress) => storage.memories.reembed(embed, { model: "m", batchSize: 100, onProgress }),
  copyStories: (onProgress) => copyStories(storage.stories, target, { onProgress }),
};
const reported = [];
storage.on("error", (error) => reported.push(error.message));
for (const [name, call] of Object.entries(calls)) {
  // The error of a prune lists the records removed so far.
  const of = (reason) => new RegExp(name === "prune" ? `^The prune was ended: ${reason}\\. 1 records` : `^${reason}$`);
  assert.match(await outcome(call(throws)), of("thrown"), name);
  const late = await outcome(call(rejects));
  await settle();
  const isTold = of("rejected").test(late);
  assert(isTold || late === "resolved", `${name}: ${late}`);
  assert(isTold || reported.includes("rejected") || name === "copyStories", name);
}
await storage.backup(path("sound.db"));
assert.equal(await outcome(restore(path("sound.db"), path("restored.db"), { onProgress: throws })), "thrown");
assert.match(await outcome(restore(path("sound.db"), path("restored2.db"), { onProgress: rejects })), /^re/);
tell({ event: "progress" });

// If a callback with a result fails, the call that used it rejects.
const { memories, conversations, graph } = storage;
const window = (countTokens) => conversations.window("c", { maxTokens: 10, countTokens });
for (const bad of [throws, rejects, () => "five", () => Number.NaN, () => -1, () => undefined]) {
  assert.notEqual(await outcome(window(bad)), "resolved");
}
for (const bad of [throws, rejects]) assert.notEqual(await outcome(graph.bfs("a", { visit: bad })), "resolved");
for (const bad of [throws, rejects, () => 5, async () => [[1]], async (texts) => texts.map(() => "x")]) {
  assert.notEqual(await outcome(memories.reembed(bad, { model: "other" })), "resolved");
}
assert.equal(await memories.dropModel("other"), 0);
for (const bad of [throws, rejects]) {
  assert.notEqual(await outcome(storage.transaction(bad)), "resolved");
  const source = (async function* () {
    yield lines.slice(0, 100);
    await bad();
  })();
  assert.notEqual(await outcome(storage.import(source)), "resolved");
}
assert.equal(await outcome(storage.transaction(() => 5)), "resolved");
await storage.close();
await target.close();
tell({ event: "answers" });

// A clock that fails stores nothing.
let time = Date.now;
const timed = await openStorage({ url: path("timed.db"), now: () => time() });
await timed.memories.insert({ id: "m", content: "stored" });
await timed.conversations.insert({ id: "c" });
await timed.graph.addNode({ id: "a", kind: "k", name: "a" });
const writes = {
  "memories.insert": () => timed.memories.insert({ content: "x" }),
  "memories.put": () => timed.memories.put("m", { content: "x" }),
  "memories.update": () => timed.memories.update("m", { content: "x" }),
  "memories.delete": () => timed.memories.delete("m"),
  "sessions.start": () => timed.sessions.start("x"),
  "conversations.insert": () => timed.conversations.insert({}),
  "conversations.append": () => timed.conversations.append("c", { role: "user", content: "x" }),
  "conversations.tag": () => timed.conversations.tag("c", "t"),
  "graph.addNode": () => timed.graph.addNode({ kind: "k", name: "x" }),
  "graph.updateNode": () => timed.graph.updateNode("a", { name: "x" }),
  "stories.saveStory": () => timed.stories.saveStory("x", { title: "x" }),
};
for (const bad of [throws, () => "now", () => Number.NaN, () => undefined, () => new Date(), () => 1e300, rejects]) {
  for (const [name, write] of Object.entries(writes)) {
    time = bad;
    const message = await outcome(write());
    if (bad === throws) assert.equal(message, "thrown", name);
    else assert.match(message, /`now`/, name);
  }
}
time = Date.now;
await settle();
const { content, deletedAt } = await timed.memories.require("m");
assert.deepEqual({ content, deletedAt }, { content: "stored", deletedAt: null });
const counts = [await timed.memories.count(), (await timed.conversations.require("c")).messageCount];
assert.deepEqual(counts, [1, 0]);
assert.equal((await timed.conversations.list()).items.length, 1);
assert.equal((await timed.graph.findNodes()).items.length, 1);
// A clock with fractions is accepted.
time = () => 1_700_000_000_000.75;
assert.equal((await timed.memories.insert({ content: "y" })).createdAt.getTime(), 1_700_000_000_000);
await timed.close();
await settle();
tell({ event: "done" });
