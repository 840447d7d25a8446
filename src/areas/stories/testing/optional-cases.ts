import assert from "node:assert/strict";
import type { BackendMethod } from "../backend.js";
import { type BackendCheck, rejection } from "./support.js";

/** A case for methods that belong together: the backend has all of them, or each rejects with `NOT_SUPPORTED`. */
function group(methods: readonly BackendMethod[], check: BackendCheck): BackendCheck {
  return async (backend) => {
    const present = methods.filter((method) => backend.has(method));
    if (present.length === methods.length) return check(backend);
    assert.deepEqual(present, [], `${methods.join(", ")} come together`);
    for (const method of methods) {
      const call = backend[method as "load"];
      assert.equal((await rejection(call("x"), `${method} of a backend that lacks it`)).code, "NOT_SUPPORTED");
    }
  };
}

/** Preferences, the sync queue, the token, conditional saves and history. */
export const optionalCases: Readonly<Record<string, BackendCheck>> = {
  "preferences are kept by key, with their scope": group(
    ["savePreference", "loadPreference", "deletePreference", "listPreferences"],
    async (backend) => {
      assert.equal(await backend.loadPreference("missing"), undefined);
      await backend.deletePreference("missing");
      await backend.savePreference("ui.theme", { value: "dark" });
      await backend.savePreference("ui.font", { value: { size: 12, list: [null, false] }, scope: "project" });
      await backend.savePreference("net.proxy", { value: null });
      await backend.savePreference("__proto__", { value: 0 });
      assert.deepEqual({ ...(await backend.loadPreference("ui.theme")) }, { value: "dark", scope: "user" });
      assert.deepEqual(await backend.loadPreference("ui.font"), {
        value: { size: 12, list: [null, false] },
        scope: "project",
      });
      assert.equal((await backend.loadPreference("net.proxy"))?.value, null);
      assert.equal((await backend.loadPreference("__proto__"))?.value, 0);
      await backend.savePreference("ui.theme", { value: "light" });
      assert.equal((await backend.loadPreference("ui.theme"))?.value, "light");
      assert.equal((await backend.listPreferences("ui.")).length, 2);
      assert.equal((await backend.listPreferences("ui%")).length, 0);
      assert.equal((await backend.listPreferences("")).length, 4);
      await backend.deletePreference("ui.theme");
      assert.equal(await backend.loadPreference("ui.theme"), undefined);
      assert.equal((await backend.listPreferences("ui.")).length, 1);
      assert.deepEqual(await backend.list({}), [], "a preference is not a story");
    },
  ),
  "the sync queue returns its entries in the order they were added": group(
    ["addToSyncQueue", "getSyncQueue", "removeFromSyncQueue", "clearSyncQueue"],
    async (backend) => {
      assert.deepEqual(await backend.getSyncQueue(), []);
      for (const id of ["q3", "q1", "q2"]) {
        const data = { of: id, list: [1, null] };
        await backend.addToSyncQueue({
          id,
          storyId: `story of ${id}`,
          action: "update",
          data,
          timestamp: new Date(1000),
        });
      }
      const queue = await backend.getSyncQueue();
      assert.deepEqual(
        queue.map(({ id, storyId, action, data }) => ({ id, storyId, action, data })),
        ["q3", "q1", "q2"].map((id) => ({
          id,
          storyId: `story of ${id}`,
          action: "update",
          data: { of: id, list: [1, null] },
        })),
      );
      assert.equal(Number(queue[0]!.timestamp), 1000);
      await backend.removeFromSyncQueue("q1");
      await backend.removeFromSyncQueue("missing");
      assert.deepEqual(
        (await backend.getSyncQueue()).map(({ id }) => id),
        ["q3", "q2"],
      );
      await backend.clearSyncQueue();
      assert.deepEqual(await backend.getSyncQueue(), []);
    },
  ),
  "a token is returned until it is deleted, or refused if it cannot be encrypted": group(
    ["saveGithubToken", "loadGithubToken", "deleteGithubToken"],
    async (backend) => {
      assert.ok(!(await backend.loadGithubToken()), "there is no token at first");
      try {
        await backend.saveGithubToken("ghp_first");
      } catch (error) {
        assert.equal((error as { code?: unknown }).code, "NO_SECRET");
        assert.ok(!(await backend.loadGithubToken()), "a refused token is not stored");
        return;
      }
      assert.equal(await backend.loadGithubToken(), "ghp_first");
      await backend.saveGithubToken("ghp_second");
      assert.equal(await backend.loadGithubToken(), "ghp_second");
      await backend.deleteGithubToken();
      assert.ok(!(await backend.loadGithubToken()), "a deleted token is gone");
    },
  ),
  "conflicted copies are a list, and none of them is a story": group(["conflicts"], async (backend) => {
    await backend.save("a", { n: 1 }, {});
    for (const { path, name } of await backend.conflicts()) assert.ok(typeof path === "string" && name !== "");
    assert.deepEqual(
      (await backend.list({})).map(({ id }) => id),
      ["a"],
    );
  }),
  "saveIf saves only what is at the expected revision": group(["saveIf"], async (backend) => {
    const conflict = async (key: string, expected: number) => {
      const error = await rejection(backend.saveIf(key, { lost: true }, {}, expected), `saveIf at ${expected}`);
      assert.equal(error.code, "CONFLICT");
      return error.actualRevision;
    };
    assert.equal(await conflict("a", 5), 0, "a missing story is at revision 0");
    assert.equal(await backend.exists("a"), false, "a refused save stores nothing");
    const first = await backend.saveIf("a", { n: 1 }, { tags: ["x"] }, 0);
    assert.deepEqual([...first.tags], ["x"]);
    assert.equal(await conflict("a", 0), first.revision);
    assert.equal(await conflict("a", first.revision + 1), first.revision);
    assert.deepEqual(await backend.load("a"), { n: 1 });
    assert.deepEqual(await backend.getMetadata("a"), first);
    const second = await backend.saveIf("a", { n: 2 }, {}, first.revision);
    assert.deepEqual([...second.tags], ["x"]);
    assert.equal(await conflict("a", first.revision), second.revision);
    const renamed = await backend.updateMetadata("a", { title: "T" });
    assert.equal(await conflict("a", second.revision), renamed!.revision, "a change of metadata counts");
    const attempts = await Promise.allSettled(
      Array.from({ length: 10 }, (_, n) => backend.saveIf("a", { winner: n }, {}, renamed!.revision)),
    );
    const winners = attempts.flatMap(({ status }, n) => (status === "fulfilled" ? [n] : []));
    assert.equal(winners.length, 1, "of ten at once, one wins");
    assert.deepEqual(await backend.load("a"), { winner: winners[0] });
    await backend.delete("a");
    assert.equal(await conflict("a", renamed!.revision + 1), 0, "a deleted story is at revision 0");
  }),
  "revisions are kept, newest first, and outlive a delete": group(["revisions", "loadRevision"], async (backend) => {
    assert.deepEqual(await backend.revisions("a"), []);
    assert.equal(await backend.loadRevision("a", 1), undefined);
    const saved = [];
    for (let n = 1; n <= 3; n++) saved.push(await backend.save("a", { n, text: "é".repeat(n) }, {}));
    const numbers = saved.map(({ revision }) => revision).reverse();
    const revisions = await backend.revisions("a");
    assert.deepEqual(
      revisions.map(({ revision }) => revision),
      numbers,
      "newest first, the present one included",
    );
    assert.deepEqual(
      revisions.map(({ size }) => size),
      saved.map(({ size }) => size).reverse(),
    );
    assert.ok(revisions.every(({ createdAt }) => createdAt instanceof Date));
    assert.deepEqual(await backend.loadRevision("a", numbers[2]!), { n: 1, text: "é" });
    assert.deepEqual(await backend.loadRevision("a", numbers[0]!), { n: 3, text: "ééé" });
    assert.equal(await backend.loadRevision("a", numbers[0]! + 1), undefined);
    const renamed = await backend.updateMetadata("a", { title: "T" });
    assert.deepEqual(await backend.loadRevision("a", renamed!.revision), { n: 3, text: "ééé" });
    assert.deepEqual(await backend.revisions("b"), [], "a story has its own revisions");
    await backend.delete("a");
    assert.deepEqual(await backend.loadRevision("a", numbers[0]!), { n: 3, text: "ééé" });
    assert.ok((await backend.revisions("a")).length >= 3, "they outlive a delete");
    const again = await backend.save("a", { n: 4 }, {});
    assert.ok(again.revision > renamed!.revision, "the numbers go on after a delete");
    assert.deepEqual(await backend.loadRevision("a", numbers[0]!), { n: 3, text: "ééé" });
  }),
};
