import { afterAll, expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { compileShim } from "../support/shim.js";
import { tempDatabase } from "../support/temp.js";

interface Said {
  readonly what: string;
  readonly value?: unknown;
  readonly code?: string;
  readonly message?: string;
}

const shim = compileShim();
afterAll(() => shim?.[Symbol.dispose]());

test.skipIf(shim === undefined)(
  "on a full disk prune makes room, and an error names the reason, the file and the next step",
  async () => {
    await using place = await tempDatabase();
    const environment = { ...shim!.environment(place.dir, {}), TMPDIR: place.dir };
    await using child = startChild("full-disk", { dir: place.dir }, environment);
    const { code, stderr } = await child.exited;
    expect(code, stderr).toBe(0);
    const said = new Map((child.messages as Said[]).map((one) => [one.what, one]));
    expect(said.get("insert")).toMatchObject({ code: "FULL", message: expect.stringContaining("work.db") });
    expect(said.get("prune")).toMatchObject({
      value: { removed: [{ project: "default", area: "memories", rows: 960 }] },
    });
    expect(said.get("count")).toMatchObject({ value: 300 });
    for (const what of ["purge", "purgeProject", "prune without room"]) {
      const message = expect.stringMatching(/work\.db is full: .+ about \d+ MB, then prune/);
      expect(said.get(what), what).toMatchObject({ code: "FULL", message });
    }
    expect(said.get("backup")).toMatchObject({ code: "FULL", message: expect.stringContaining("copy.db") });
    expect(said.get("purge again")).toMatchObject({ value: true });
    expect(said.get("prune again")).toMatchObject({ value: { removed: [{ rows: 289 }] } });
    expect(said.get("import")).toMatchObject({ code: "FULL", message: expect.stringContaining(place.dir) });
    expect(said.get("lock")).toMatchObject({ code: "FULL", message: expect.stringContaining("work.db.lock") });
    expect(said.get("backup without a descriptor")).toMatchObject({
      code: "CANNOT_OPEN",
      message: expect.stringContaining("copy.db"),
    });
    expect(said.get("backup again")).toEqual({ what: "backup again" });
    // SQLite opened the file for reading, so every write was READONLY until the storage was closed.
    expect(said.get("opened")).toMatchObject({ value: 1 });
    expect(said.get("insert without a descriptor")).toMatchObject({
      code: "CANNOT_OPEN",
      message: expect.stringMatching(/work\.db could be opened for reading only\. .*try again$/),
    });
    expect(said.get("insert again")).toEqual({ what: "insert again" });
    expect(said.get("check")).toMatchObject({ value: true });
    expect(said.get("left")).toMatchObject({ value: [] });
  },
);
