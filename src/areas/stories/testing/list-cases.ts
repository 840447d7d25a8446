import assert from "node:assert/strict";
import { type BackendCheck, idsOf, nextMoment } from "./support.js";

/** Lists, sizes, and clearing. */
export const listCases: Readonly<Record<string, BackendCheck>> = {
  async "a list has the newest updated first"(backend) {
    for (const id of ["a", "b", "c"]) {
      await backend.save(id, { id }, {});
      await nextMoment();
    }
    assert.deepEqual(await idsOf(backend, {}), ["c", "b", "a"]);
    await backend.save("a", { again: true }, {});
    assert.deepEqual(await idsOf(backend, {}), ["a", "c", "b"]);
    await nextMoment();
    await backend.updateMetadata("b", { title: "new" });
    assert.deepEqual(await idsOf(backend, {}), ["b", "a", "c"]);
    await backend.load("c");
    assert.deepEqual(await idsOf(backend, {}), ["b", "a", "c"], "loading changes no order");
  },
  async "limit and offset select a page of the list"(backend) {
    for (let n = 0; n < 7; n++) {
      await backend.save(`s${n}`, { n }, {});
      await nextMoment();
    }
    assert.equal((await backend.list({})).length, 7);
    assert.deepEqual(await idsOf(backend, { limit: 2 }), ["s6", "s5"]);
    assert.deepEqual(await idsOf(backend, { limit: 2, offset: 2 }), ["s4", "s3"]);
    assert.deepEqual(await idsOf(backend, { offset: 5 }), ["s1", "s0"]);
    assert.deepEqual(await idsOf(backend, { limit: 100, offset: 6 }), ["s0"]);
    assert.deepEqual(await idsOf(backend, { offset: 7 }), []);
    assert.deepEqual(await idsOf(backend, { limit: 0 }), []);
  },
  async "tags match any of them, exactly, before the page is cut"(backend) {
    const tagged: [string, string[]][] = [
      ["a", ["red"]],
      ["b", ["blue", "green"]],
      ["c", ["Red"]],
      ["d", ["red", "blue"]],
      ["e", []],
      ["f", ["reddish", "r%d", 're"d']],
    ];
    for (const [id, tags] of tagged) {
      await backend.save(id, {}, { tags });
      await nextMoment();
    }
    assert.deepEqual(await idsOf(backend, { tags: ["red"] }), ["d", "a"]);
    assert.deepEqual(await idsOf(backend, { tags: ["red", "green"] }), ["d", "b", "a"]);
    assert.deepEqual(await idsOf(backend, { tags: ["red", "blue"], limit: 2 }), ["d", "b"]);
    assert.deepEqual(await idsOf(backend, { tags: ["red", "blue"], limit: 2, offset: 2 }), ["a"]);
    assert.deepEqual(await idsOf(backend, { tags: ["r%d"] }), ["f"]);
    assert.deepEqual(await idsOf(backend, { tags: ['re"d'] }), ["f"]);
    assert.deepEqual(await idsOf(backend, { tags: ["none"] }), []);
  },
  async "the storage usage is in bytes and follows the stories"(backend) {
    const empty = await backend.getStorageUsage();
    assert.ok(Number.isFinite(empty) && empty >= 0, "it is a number");
    await backend.save("a", { text: "x".repeat(10_000) }, {});
    const one = await backend.getStorageUsage();
    assert.ok(one - empty >= 10_000, "a story of 10,000 bytes counts");
    await backend.save("b", { text: "€".repeat(10_000) }, {});
    const two = await backend.getStorageUsage();
    assert.ok(two - one >= 30_000, "bytes count, not characters");
    await backend.delete("b");
    assert.ok((await backend.getStorageUsage()) < two, "a deleted story does not");
  },
  async "clear removes all stories, and new ones can be saved"(backend) {
    for (let n = 0; n < 5; n++) await backend.save(`s${n}`, { n }, { tags: ["x"] });
    await backend.clear();
    assert.deepEqual(await backend.list({}), []);
    assert.deepEqual(await backend.list({ tags: ["x"] }), []);
    assert.equal(await backend.load("s0"), undefined);
    assert.equal(await backend.exists("s0"), false);
    await backend.clear();
    await backend.save("s0", { n: "new" }, {});
    assert.deepEqual(await backend.load("s0"), { n: "new" });
    assert.deepEqual([...(await backend.getMetadata("s0"))!.tags], []);
  },
  async "initialize a second time changes nothing"(backend) {
    const metadata = await backend.save("a", { n: 1 }, { tags: ["x"] });
    await backend.initialize();
    assert.deepEqual(await backend.load("a"), { n: 1 });
    assert.deepEqual(await backend.list({ tags: ["x"] }), [metadata]);
  },
};
