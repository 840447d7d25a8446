import { createClient } from "holdfast/client";
import { Memvid } from "holdfast/memvid";
import { expect, test } from "vitest";
import { tempStorage } from "../support/storage.js";

test("no call walks all memories: each reads by an index, or by the rows that another names", async () => {
  await using temp = await tempStorage();
  const { storage, db } = temp;
  const statements: string[] = [];
  // What the calls send, seen on its way: the plan of each is asked for below.
  const spied = storage.client;
  const execute = spied.execute.bind(spied) as unknown as (statement: { sql: string }) => Promise<never>;
  spied.execute = ((statement: { sql: string }) => {
    statements.push(typeof statement === "string" ? statement : statement.sql);
    return execute(statement);
  }) as never;
  const mv = new Memvid(db.path, false, async () => storage);
  await mv.put({ text: "whale", embedding: [1, 0] });
  await mv.put({ text: "whale song" });
  await mv.find("whale");
  await mv.find("whale", { asOfTs: 4e9 });
  await mv.find("whale", { mode: "auto", queryEmbedding: [1, 0] });
  await mv.vecSearch("whale", [1, 0]);
  await mv.view(0);
  await mv.viewByUri("mv2://frames/0");
  await mv.timeline({ limit: 5 });
  await mv.timeline({ limit: 5, reverse: true, since: 1, until: 4e9 });
  const calls = statements.length;
  const hot = statements.slice(0, calls);
  expect(hot.length).toBeGreaterThan(15);

  const client = createClient({ url: db.url });
  for (const sql of hot) {
    const args = Array.from({ length: (sql.match(/\?/g) ?? []).length }, () => 1);
    const { rows } = await client.execute({ sql: `EXPLAIN QUERY PLAN ${sql}`, args });
    const plan = rows.map((row) => String(row.detail)).join("\n");
    expect(plan, `${sql}\n${plan}`).not.toMatch(/SCAN (memories|memory_embeddings|m|e)\b(?! USING)/);
    // The count of vectors starts from the vectors, not from every frame.
    if (sql.includes("in (select")) expect(plan, sql).not.toMatch(/SEARCH memories USING (?!INTEGER PRIMARY KEY)/);
  }
  await client.close();
});
