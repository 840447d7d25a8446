import { expect, test } from "vitest";
import { startChild } from "../support/child.js";
import { column, openTestClient } from "../support/clients.js";
import { tempDatabase } from "../support/temp.js";

test("four processes that write at once lose nothing, see no SQLITE_BUSY, and each of them gets its share", async () => {
  await using db = await tempDatabase();
  const children = Array.from({ length: 4 }, (_, i) =>
    startChild("write-pairs", {
      url: db.url,
      name: `writer ${i}`,
      forMs: 3000,
      reportEach: false,
      options: { durability: "relaxed", checkpoint: { walBytes: 256 * 1024 } },
    }),
  );
  try {
    type Done = { done?: boolean; written: number };
    const all = await Promise.all(children.map((child) => child.message<Done>(({ done }) => done === true)));
    for (const child of children) expect(await child.exited).toMatchObject({ code: 0, stderr: "" });
    const written = all.map((one) => one.written);
    console.log(`transactions of each: ${written.join(", ")}`);
    await using client = openTestClient(db.url);
    expect(await column(client, "SELECT count(*) FROM pairs")).toEqual([2 * written.reduce((a, b) => a + b)]);
    expect(
      await column(client, "SELECT count(*) FROM (SELECT 1 FROM pairs GROUP BY writer, n HAVING count(*) <> 2)"),
    ).toEqual([0]);
    expect(await column(client, "PRAGMA integrity_check")).toEqual(["ok"]);
    expect(Math.min(...written)).toBeGreaterThan(Math.max(...written) / 20);
  } finally {
    await Promise.all(children.map((child) => child[Symbol.asyncDispose]()));
  }
});

test("eight processes that open a new file at once all succeed", async () => {
  await using db = await tempDatabase();
  const children = Array.from({ length: 8 }, (_, i) =>
    startChild("write-pairs", { url: db.url, name: `opener ${i}`, forMs: 200, reportEach: false }),
  );
  try {
    for (const child of children) expect(await child.exited).toMatchObject({ code: 0, stderr: "" });
    await using client = openTestClient(db.url);
    expect(await column(client, "SELECT count(DISTINCT writer) FROM pairs")).toEqual([8]);
  } finally {
    await Promise.all(children.map((child) => child[Symbol.asyncDispose]()));
  }
});
