import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, createStorage, open, use } from "holdfast/memvid";
import { transcript } from "../transcript.mjs";

console.error = () => undefined;

await transcript(async ({ dir, note }) => {
  const path = join(dir, "notes.mv2");
  await note("open missing", open(path));
  const mv = await create(path);
  const timestamp = 1_700_000_000;
  await note(
    "put",
    mv.put({
      title: "Plan",
      label: "meeting",
      text: "Apollo goes to the moon 🚀",
      tags: ["a"],
      uri: "mv2://plan",
      timestamp,
      embedding: [1, 0],
    }),
  );
  const dates = ["2023-01-15", "Jan 15, 2023", "01/15/2023", "2023-01-15T10:00:00+01:00", "soon"];
  for (const date of dates) await note(`put ${date}`, mv.put({ text: `dated ${date}`, timestamp: date }));
  await note(
    "put many",
    mv.putMany([
      { title: "x", text: "whale song", timestamp },
      { title: "y", text: "bird song", timestamp },
    ]),
  );
  await note(
    "at once",
    async () => (await Promise.all(Array.from({ length: 50 }, (_, i) => mv.put({ text: `n ${i}`, timestamp })))).length,
  );
  for (const query of ["apollo", "moons", "so", "(song", '"whale song" AND', "ong", "🚀", "zebra", ""]) {
    await note(`find ${query}`, async () => ({ ...(await mv.find(query, { k: 4 })), took_ms: 0 }));
  }
  await note("vecSearch", async () => ({ ...(await mv.vecSearch("moon", [0.6, 0.8])), took_ms: 0 }));
  await note("hybrid", async () => ({
    ...(await mv.find("song", { mode: "auto", queryEmbedding: [1, 0] })),
    took_ms: 0,
  }));
  await note("dimension", mv.vecSearch("moon", [1, 0, 0]));
  await note("timeline", mv.timeline({ limit: 5, reverse: true }));
  await note("view", mv.view(0));
  await note("view none", mv.view(999));
  await note("by uri", mv.viewByUri("mv2://plan"));
  await note("info", mv.getFrameInfo(0));
  await note("remove", mv.remove("1"));
  await note("removed", mv.view(1));
  await note("stats", async () => {
    const { size_bytes, remaining_capacity_bytes, ...stats } = await mv.stats();
    return { ...stats, hasSize: size_bytes > 0 && remaining_capacity_bytes > 0 };
  });
  await note("verify", mv.verify({ deep: true }));
  await note("doctor", async () => (await mv.doctor({ rebuildLexIndex: true, vacuum: true })).status);
  await note("ask", mv.ask("why?"));
  await note("lockWho", mv.lockWho());
  await note("seal", mv.seal());
  await note("after seal", mv.put({ text: "after", timestamp }));
  await note("close", mv.close());
  await note("after close", mv.find("x"));
  await note("static", async () => (await use.verify(path)).overall_status);
  writeFileSync(join(dir, "other.mv2"), "MV2\0\u0001\u0002 of the SDK");
  await note("SDK's own file", open(join(dir, "other.mv2")));

  const told = [];
  const storage = await createStorage({
    path: join(dir, "mind.db"),
    maxSize: 500,
    onError: (error) => told.push(error),
  });
  const entry = {
    id: "one",
    type: "tool",
    content: "an entry about whales",
    metadata: { n: 1 },
    vector: [0.5, 1],
    createdAt: new Date(5),
  };
  await note("write", storage.write("one", entry));
  await note("read", storage.read("one"));
  await note("read none", storage.read("two"));
  await note("search", storage.search("whale"));
  await note("write wrong", storage.write("one", { ...entry, id: "two" }));
  await note("write too much", storage.write("two", { ...entry, id: "two", content: "x".repeat(500) }));
  await note("told", told);
  await note("storage stats", storage.stats());
  await note("storage close", storage.close());
});
