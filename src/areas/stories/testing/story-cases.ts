import assert from "node:assert/strict";
import type { StoryData } from "../story.js";
import { type BackendCheck, HOSTILE_IDS, idsOf, nextMoment, rejection } from "./support.js";

/** JSON of all kinds; read from text, where `__proto__` is a key like any other. */
const RICH = `{"title":"Rich","metadata":{"title":"Rich","nested":[[[]],{}]},"passages":[{"id":"p1","content":"a\\u0000b \\ud800 😀 \\u2028"}],
  "numbers":[0,-1,1.5,1e300,5e-324,9007199254740991],"flags":[true,false,null],"":"","__proto__":{"x":1},"quote\\"s":"\\\\'%_"}`;

/** Saving, loading, changing and removing one story. */
export const storyCases: Readonly<Record<string, BackendCheck>> = {
  async "a story is loaded as it was saved"(backend) {
    const story = JSON.parse(RICH) as StoryData;
    await backend.save("rich", story, {});
    assert.equal(JSON.stringify(await backend.load("rich")), JSON.stringify(story));
    await backend.save("empty", {}, {});
    assert.deepEqual(await backend.load("empty"), {});
    assert.equal(await backend.exists("rich"), true);
  },
  async "a story of a megabyte is loaded as it was saved"(backend) {
    const story = {
      passages: Array.from({ length: 10_000 }, (_, n) => ({ id: `p${n}`, content: `€ ${"x".repeat(80)}` })),
    };
    const { size } = await backend.save("large", story, {});
    assert.equal(size, Buffer.byteLength(JSON.stringify(story)));
    assert.deepEqual(await backend.load("large"), story);
  },
  async "a missing story is undefined or false"(backend) {
    await backend.save("other", { title: "Other" }, {});
    assert.equal(await backend.load("missing"), undefined);
    assert.equal(await backend.exists("missing"), false);
    assert.equal(await backend.delete("missing"), false);
    assert.equal(await backend.getMetadata("missing"), undefined);
    assert.ok(!(await backend.updateMetadata("missing", { title: "T" })), "updateMetadata of a missing story");
    assert.equal(await backend.export("missing"), undefined);
    assert.deepEqual(await idsOf(backend, {}), ["other"]);
  },
  async "save resolves to the metadata, and getMetadata to the same"(backend) {
    const story = { title: "Ünï", passages: [] };
    const before = Date.now();
    const metadata = await backend.save("a", story, { tags: ["x", "y"] });
    const after = Date.now();
    assert.equal(metadata.id, "a");
    assert.equal(metadata.title, "Ünï");
    assert.deepEqual([...metadata.tags], ["x", "y"]);
    assert.equal(metadata.size, Buffer.byteLength(JSON.stringify(story)), "size is in bytes of UTF-8");
    assert.ok(Number.isInteger(metadata.revision) && metadata.revision >= 1, "revision counts from 1");
    assert.ok(metadata.createdAt instanceof Date && metadata.updatedAt instanceof Date, "times are Dates");
    assert.ok(
      metadata.createdAt.getTime() >= before - 1 && metadata.createdAt.getTime() <= after + 1,
      "createdAt is now",
    );
    assert.deepEqual(await backend.getMetadata("a"), metadata);
    assert.deepEqual(await backend.list({}), [metadata]);
  },
  async "the title is metadata.title, else title, else Untitled"(backend) {
    const title = async (story: StoryData) => (await backend.save(`t${JSON.stringify(story)}`, story, {})).title;
    assert.equal(await title({ title: "outer", metadata: { title: "inner" } }), "inner");
    assert.equal(await title({ title: "outer", metadata: {} }), "outer");
    assert.equal(await title({ title: "outer" }), "outer");
    assert.equal(await title({ metadata: { title: "inner" } }), "inner");
    assert.equal(await title({ passages: [] }), "Untitled");
  },
  async "a second save replaces the first, keeps createdAt and bumps the revision"(backend) {
    const first = await backend.save("a", { n: 1, gone: true }, {});
    await nextMoment();
    const second = await backend.save("a", { n: 2 }, {});
    assert.deepEqual(await backend.load("a"), { n: 2 });
    assert.deepEqual(second.createdAt, first.createdAt);
    assert.ok(second.updatedAt > first.updatedAt, "updatedAt moves on");
    assert.ok(second.revision > first.revision, "the revision grows");
    assert.equal(second.size, 7);
    assert.deepEqual(await idsOf(backend, {}), ["a"]);
  },
  async "tags survive a save without tags, and a save with tags replaces them"(backend) {
    await backend.save("a", { n: 1 }, { tags: ["x"] });
    assert.deepEqual([...(await backend.save("a", { n: 2 }, {})).tags], ["x"]);
    assert.deepEqual(await idsOf(backend, { tags: ["x"] }), ["a"]);
    assert.deepEqual([...(await backend.save("a", { n: 3 }, { tags: ["y"] })).tags], ["y"]);
    assert.deepEqual(await idsOf(backend, { tags: ["x"] }), []);
    assert.deepEqual([...(await backend.save("a", { n: 4 }, { tags: [] })).tags], []);
    assert.deepEqual(await idsOf(backend, { tags: ["y"] }), []);
  },
  async "updateMetadata changes title and tags, each by itself, and leaves the story alone"(backend) {
    const first = await backend.save("a", { title: "one", n: 1 }, { tags: ["x"] });
    await nextMoment();
    const titled = await backend.updateMetadata("a", { title: "two" });
    assert.equal(titled?.title, "two");
    assert.deepEqual([...titled.tags], ["x"]);
    assert.ok(titled.revision > first.revision, "the revision grows");
    assert.ok(titled.updatedAt > first.updatedAt, "updatedAt moves on");
    assert.deepEqual(titled.createdAt, first.createdAt);
    assert.equal(titled.size, first.size);
    const tagged = await backend.updateMetadata("a", { tags: ["y"] });
    assert.equal(tagged?.title, "two");
    assert.deepEqual([...tagged.tags], ["y"]);
    assert.ok(tagged.revision > titled.revision, "the revision grows again");
    assert.deepEqual(await backend.getMetadata("a"), tagged);
    assert.deepEqual(await backend.list({ tags: ["y"] }), [tagged]);
    assert.deepEqual(await idsOf(backend, { tags: ["x"] }), []);
    assert.deepEqual(await backend.load("a"), { title: "one", n: 1 });
  },
  async "a title set by updateMetadata lasts until a save brings another"(backend) {
    await backend.save("a", { n: 1 }, {});
    await backend.updateMetadata("a", { title: "set" });
    assert.equal((await backend.save("a", { n: 2 }, {})).title, "set");
    assert.equal((await backend.save("a", { title: "brought" }, {})).title, "brought");
    assert.equal((await backend.getMetadata("a"))?.title, "brought");
  },
  async "changing an object after a call does not change the stored story"(backend) {
    const story = { list: [1] };
    await backend.save("a", story, {});
    story.list.push(2);
    const loaded = (await backend.load("a")) as typeof story;
    assert.deepEqual(loaded, { list: [1] });
    loaded.list.push(3);
    assert.deepEqual(await backend.load("a"), { list: [1] });
    const imported = { id: "b", list: [1] };
    await backend.importData(imported);
    imported.list.push(2);
    assert.deepEqual(await backend.load("b"), { id: "b", list: [1] });
  },
  async "a deleted story is gone from everywhere, and a later one with its id is new"(backend) {
    const first = await backend.save("a", { title: "old" }, { tags: ["x"] });
    await backend.updateMetadata("a", { title: "set" });
    await backend.save("b", { title: "stays" }, { tags: ["x"] });
    assert.equal(await backend.delete("a"), true);
    assert.equal(await backend.delete("a"), false);
    assert.equal(await backend.exists("a"), false);
    assert.equal(await backend.load("a"), undefined);
    assert.equal(await backend.getMetadata("a"), undefined);
    assert.ok(!(await backend.updateMetadata("a", { title: "T" })), "updateMetadata of a deleted story");
    assert.deepEqual(await idsOf(backend, {}), ["b"]);
    assert.deepEqual(await idsOf(backend, { tags: ["x"] }), ["b"]);
    assert.deepEqual(await backend.load("b"), { title: "stays" });
    await nextMoment();
    const again = await backend.save("a", { n: 2 }, {});
    assert.equal(again.title, "Untitled");
    assert.deepEqual([...again.tags], []);
    assert.ok(again.createdAt > first.createdAt, "createdAt is that of the new story");
  },
  async "all ids are distinct"(backend) {
    const ids = [...new Set(HOSTILE_IDS)];
    for (const [n, id] of ids.entries()) await backend.save(id, { n }, { tags: [id.slice(0, 100)] });
    for (const [n, id] of ids.entries()) {
      const label = JSON.stringify(id.slice(0, 40));
      assert.deepEqual(await backend.load(id), { n }, `${label} is loaded`);
      assert.equal((await backend.getMetadata(id))?.id, id, `${label} has its metadata`);
      assert.equal(await backend.exists(id), true, `${label} exists`);
    }
    assert.deepEqual((await idsOf(backend, {})).sort(), [...ids].sort());
    for (const id of ids) {
      assert.equal(await backend.delete(id), true, `${JSON.stringify(id.slice(0, 40))} is deleted`);
      assert.equal(await backend.exists(id), false);
    }
    assert.deepEqual(await backend.list({}), []);
  },
  async "export gives the JSON of the story, and importData takes it back under its id"(backend) {
    const story = { id: "own", title: "T", passages: [{ id: "p", content: "é" }] };
    const { size } = await backend.save("own", story, {});
    const text = (await backend.export("own"))!;
    assert.deepEqual(JSON.parse(text), story);
    assert.ok(Buffer.byteLength(text) >= size, "the export holds the whole story");
    await backend.delete("own");
    assert.equal(await backend.importData(text), "own");
    assert.deepEqual(await backend.load("own"), story);
    assert.equal((await backend.getMetadata("own"))?.title, "T");
    assert.equal(await backend.importData({ ...story, title: "U" }), "own");
    assert.equal((await backend.getMetadata("own"))?.title, "U");
  },
  async "an imported story without an id gets a new one"(backend) {
    const first = await backend.importData({ title: "A" });
    const second = await backend.importData('{"title":"B"}');
    assert.ok(typeof first === "string" && first !== "" && first !== second, "each id is new");
    assert.equal((await backend.getMetadata(first))?.title, "A");
    assert.equal((await backend.getMetadata(second))?.title, "B");
  },
  async "junk is not imported"(backend) {
    for (const junk of ["", "{", "not json", "{'id':'x'}"]) {
      await rejection(
        Promise.resolve().then(() => backend.importData(junk)),
        `importData(${JSON.stringify(junk)})`,
      );
    }
    assert.deepEqual(await backend.list({}), []);
  },
  async "stories saved at once are all stored"(backend) {
    await Promise.all(Array.from({ length: 30 }, (_, n) => backend.save(`s${n}`, { n }, { tags: ["all"] })));
    assert.equal((await backend.list({ tags: ["all"] })).length, 30);
    for (let n = 0; n < 30; n++) assert.deepEqual(await backend.load(`s${n}`), { n });
    await Promise.all(Array.from({ length: 20 }, (_, n) => backend.save("one", { n, text: "x".repeat(n * 100) }, {})));
    const last = (await backend.load("one")) as { n: number; text: string };
    assert.equal(last.text.length, last.n * 100, "of saves of one story at once, one is there, whole");
    assert.equal((await backend.getMetadata("one"))?.size, Buffer.byteLength(JSON.stringify(last)));
  },
};
