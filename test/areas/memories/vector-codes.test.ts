import type { InStatement, InValue, ResultSet, Row } from "@libsql/client";
import type { NearestOptions, Storage, StorageOptions } from "holdfast";
import { expect } from "vitest";
import { mulberry32 } from "../../../src/migrate/generate/random.js";
import { startChild } from "../../support/child.js";
import { fileTest, tempStorage } from "../../support/storage.js";

const DIMENSIONS = 24;
const COUNT = 2_400;
const GROUPS = 60;

/** The same vectors in each run, around the centers of groups, and all on one side, as those of most models are. */
function vectorMaker(): () => Float32Array {
  const random = mulberry32(1);
  const vector = () => Float32Array.from({ length: DIMENSIONS }, () => random() * 2 - 1);
  const centers = Array.from({ length: GROUPS }, () => vector().map((value) => value + 1));
  return () => {
    const noise = vector();
    return centers[Math.floor(random() * GROUPS)]!.map((value, i) => value + noise[i]! / 2);
  };
}

const blob = (vectors: readonly Float32Array[]) => Buffer.concat(vectors.map((vector) => Buffer.from(vector.buffer)));

/** Stores many memories with vectors at once; every 40th is of type `rare`. */
async function fill({ client }: Storage, make: () => Float32Array, project = "default"): Promise<void> {
  const vectors = blob(Array.from({ length: COUNT }, make));
  await client.batch([
    {
      sql: `with recursive n(i) as (select 0 union all select i + 1 from n where i < ${COUNT - 1})
        insert into memories (project, id, type, source, content, metadata, created_at, updated_at, content_hash, checksum, search_text)
        select ?, 'm' || i, iif(i % 40 = 0, 'rare', 'usual'), '', 'x', '{}', i, i, '', '', '' from n`,
      args: [project],
    },
    {
      sql: `insert into memory_embeddings (memory_row_id, project, model, version, dimensions, vector, created_at, checksum)
        select row_id, project, 'm', '', ${DIMENSIONS}, substr(?, created_at * ${DIMENSIONS * 4} + 1, ${DIMENSIONS * 4}), 0, ''
        from memories where project = ? order by row_id`,
      args: [vectors, project],
    },
  ]);
}

interface Watched {
  /** The searches that compared some vectors, and those that compared all. */
  readonly searches: { byCodes: number; whole: number };
  /** The row ids whose vectors were read for their codes. */
  readonly coded: number[];
}

/** Counts the scans of a storage. */
function watch({ client }: Storage): Watched {
  const seen: Watched = { searches: { byCodes: 0, whole: 0 }, coded: [] };
  const local = client as never as { scan(statement: { sql: string }): Promise<{ rows: { 0: unknown }[] }> };
  const { scan } = local;
  local.scan = async (statement) => {
    const result = await scan.call(client, statement);
    const isSearch = statement.sql.includes("vector_distance_cos");
    if (isSearch) seen.searches[statement.sql.includes("chosen(row_id)") ? "byCodes" : "whole"]++;
    else if (statement.sql.includes('"vector"')) seen.coded.push(...result.rows.map((row) => Number(row[0])));
    return result;
  };
  return seen;
}

/** Searches until the codes are made. Each search takes a while, and making them takes a few. */
async function warm(storage: Storage, seen: Watched, vector: Float32Array): Promise<void> {
  const before = seen.searches.byCodes;
  for (let search = 0; seen.searches.byCodes === before; search++) {
    expect(search).toBeLessThan(2_000);
    await storage.memories.nearest(vector, { model: "m" });
  }
}

async function warmStorage(options: StorageOptions = {}) {
  const temp = await tempStorage({ durability: "relaxed", ...options });
  const make = vectorMaker();
  await fill(temp.storage, make);
  const seen = watch(temp.storage);
  await warm(temp.storage, seen, make());
  return { temp, make, seen, storage: temp.storage, [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose]() };
}

/** The share of the exact answers that searches by codes find, which must be found at the same distance. */
async function recallOf(
  storage: Storage,
  make: () => Float32Array,
  searches: number,
  options: Partial<NearestOptions> = {},
) {
  let [found, wanted] = [0, 0];
  for (let i = 0; i < searches; i++) {
    const vector = make();
    const near = await storage.memories.nearest(vector, { model: "m", ...options });
    const exact = await storage.memories.nearest(vector, { model: "m", ...options, exact: true });
    const distances = new Map(near.map(({ memory, distance }) => [memory.id, distance]));
    expect(near).toHaveLength(exact.length);
    wanted += exact.length;
    found += exact.filter(({ memory, distance }) => distances.get(memory.id) === distance).length;
  }
  return wanted === 0 ? 1 : found / wanted;
}

fileTest(
  "a large project is searched by codes, with a recall of 0.98 or more; `exact` compares every vector",
  async () => {
    await using warmed = await warmStorage();
    const { storage, make, seen } = warmed;
    Object.assign(seen.searches, { byCodes: 0, whole: 0 });
    expect(await recallOf(storage, make, 40)).toBeGreaterThanOrEqual(0.98);
    expect(await recallOf(storage, make, 10, { limit: 40 })).toBeGreaterThanOrEqual(0.98);
    // One or two scans for most searches, and one for each exact one. A few have too many candidates.
    expect(seen.searches.whole).toBeLessThan(50 + 25);
    expect(seen.searches.byCodes).toBeGreaterThan(50);
    // The first results do not depend on the limit, and a search with an embedding uses the codes too.
    const vector = make();
    const search = (limit: number) =>
      storage.memories.search("x", { embedding: vector, embeddingModel: "m", mode: "vector", limit });
    const ids = async (limit: number) => (await search(limit)).map(({ memory }) => memory.id);
    expect((await ids(100)).slice(0, 10)).toEqual(await ids(10));
  },
);

fileTest("a filter is answered exactly, whether it leaves few vectors or most", async () => {
  await using warmed = await warmStorage();
  const { storage, make, seen } = warmed;
  for (const type of ["rare", "usual", "none"]) {
    expect(await recallOf(storage, make, 8, { type }), type).toBeGreaterThanOrEqual(0.98);
  }
  const { byCodes } = seen.searches;
  await recallOf(storage, make, 8, { since: new Date(200) });
  expect(seen.searches.byCodes).toBeGreaterThan(byCodes);
  // Deleted memories keep their vectors, and are left out as a filter leaves them out.
  const vector = make();
  const nearest = async () =>
    (await storage.memories.nearest(vector, { model: "m", limit: 20 })).map(({ memory }) => memory.id);
  const first = await nearest();
  for (const id of first.slice(0, 10)) await storage.memories.delete(id);
  expect((await nearest()).slice(0, 10)).toEqual(first.slice(10));
});

fileTest("vectors that others change are found as they are now", async () => {
  await using warmed = await warmStorage();
  const { temp, storage, make, seen } = warmed;
  const { memories, client } = storage;
  const vector = make();
  const nearest = async (count = 1) => {
    const near = await memories.nearest(vector, { model: "m", limit: 12 });
    expect(near).toEqual(await memories.nearest(vector, { model: "m", limit: 12, exact: true }));
    return near.slice(0, count).map(({ memory }) => memory.id);
  };
  const inChild = async (sql: string) => {
    await using child = startChild("exec", { url: temp.db.url, sql });
    await child.message(({ done }) => done === true);
  };
  const opposite = vector.map((x) => -x);
  const hex = (one: Float32Array) => `x'${blob([one]).toString("hex")}'`;
  const insert = (owner: string, one: Float32Array, rowId = "null") =>
    `insert into memory_embeddings (row_id, memory_row_id, project, model, version, dimensions, vector, created_at, checksum)
     select ${rowId}, row_id, project, 'm', 'x', ${DIMENSIONS}, ${hex(one)}, 0, '' from memories where id = '${owner}' and project = 'default'`;
  const rowIdOf = `(select row_id from memory_embeddings where version = 'x')`;

  // Another process inserts, and changes in place.
  await inChild(insert("m7", vector));
  expect(await nearest()).toEqual(["m7"]);
  await client.execute(`update memory_embeddings set vector = ${hex(opposite)} where version = 'x'`);
  expect(await nearest()).not.toEqual(["m7"]);
  await warm(storage, seen, vector);
  await inChild(`update memory_embeddings set vector = ${hex(vector)} where version = 'x'`);
  expect(await nearest()).toEqual(["m7"]);
  await warm(storage, seen, vector);
  await client.execute(`delete from memory_embeddings where version = 'x'`);
  expect(await nearest()).not.toEqual(["m7"]);

  // Manual SQL puts a vector under a row id that another one had, with the sequence that SQLite keeps, and without.
  await client.batch([insert("m8", opposite, "100000")]);
  await nearest();
  await warm(storage, seen, vector);
  await client.batch([`delete from memory_embeddings where row_id = 100000`, insert("m9", vector, "100000")]);
  expect(await nearest()).toEqual(["m9"]);
  await warm(storage, seen, vector);
  await client.batch([
    `delete from memory_embeddings where row_id > 1000`,
    `update sqlite_sequence set seq = 1000 where name = 'memory_embeddings'`,
    insert("m10", vector),
  ]);
  expect(await nearest()).toEqual(["m10"]);
  await client.execute(`update or replace memory_embeddings set row_id = 5 where row_id = ${rowIdOf}`);
  expect(await nearest()).toEqual(["m10"]);

  // Repository calls, and more new vectors than are compared without codes.
  await memories.setEmbedding(
    "m11",
    vector.map((x) => x * 3),
    { model: "m" },
  );
  expect((await nearest(2)).sort()).toEqual(["m10", "m11"]);
  await memories.insertMany(
    Array.from({ length: 300 }, (_, i) => ({ id: `new${i}`, content: "x", embedding: make(), embeddingModel: "m" })),
  );
  for (let i = 0; i < 3; i++) await nearest();
  await storage.purgeProject("default");
  expect(await memories.nearest(vector, { model: "m" })).toEqual([]);
  await memories.insert({ id: "again", content: "x", embedding: vector, embeddingModel: "m" });
  expect(await nearest()).toEqual(["again"]);
});

fileTest("a transaction finds its own vectors, and nothing of them is kept if it is rolled back", async () => {
  await using warmed = await warmStorage();
  const { storage, make } = warmed;
  const vector = make();
  const firstOf = async ({ memories }: Pick<Storage, "memories">) =>
    (await memories.nearest(vector, { model: "m", limit: 1 }))[0]?.memory.id;
  const own = { content: "x", embedding: vector, embeddingModel: "m" };
  // More than are compared without codes, so that codes of them would be made.
  const many = (name: string, at: number) =>
    Array.from({ length: 80 }, (_, i) => ({ ...own, id: `${name}${i}`, embedding: i === at ? vector : make() }));
  await storage
    .transaction(async (tx) => {
      await tx.memories.insertMany(many("undone", 50));
      expect(await firstOf(storage)).not.toBe("undone50");
      for (let i = 0; i < 3; i++) expect(await firstOf(tx)).toBe("undone50");
      throw new Error("undo");
    })
    .catch((error: Error) => expect(error.message).toBe("undo"));
  // They get the row ids that were given back.
  await storage.memories.insertMany(many("kept", 20));
  expect(await firstOf(storage)).toBe("kept20");
});

fileTest("codes are made of the vectors of one project, within `vectorCacheBytes`, and not at all with 0", async () => {
  // Enough for the codes of one project.
  await using warmed = await warmStorage({ vectorCacheBytes: 120_000 });
  const { temp, storage, make, seen } = warmed;
  const { rows } = await storage.client.execute("select max(row_id) from memory_embeddings");
  const last = Number(rows[0]![0]);
  const { searches, coded } = seen;
  coded.length = 0;
  await fill(storage, make, "b");
  const b = storage.project("b");
  for (let search = 0; searches.byCodes < 2 || coded.length < COUNT; search++) {
    expect(search).toBeLessThan(2_000);
    const near = await b.memories.nearest(make(), { model: "m" });
    expect(near.every(({ memory }) => memory.project === "b")).toBe(true);
  }
  expect(Math.min(...coded)).toBeGreaterThan(last);
  // Those of the first project had to go.
  const before = searches.byCodes;
  await storage.memories.nearest(make(), { model: "m" });
  expect(searches.byCodes).toBe(before);
  for (const vectorCacheBytes of [0, 1_000]) {
    await using small = await tempStorage({ url: temp.db.url, vectorCacheBytes });
    const own = watch(small.storage);
    for (let i = 0; i < 5; i++) await small.storage.memories.nearest(make(), { model: "m" });
    expect(own).toEqual({ searches: { byCodes: 0, whole: 5 }, coded: [] });
  }
});

fileTest("the event loop waits for the codes of a few vectors at once, and for no other row", async () => {
  const long = 1536;
  await using temp = await tempStorage({ durability: "relaxed" });
  const { client, memories } = temp.storage;
  const make = vectorMaker();
  await fill(temp.storage, make);
  await client.batch([
    `insert into memory_embeddings (memory_row_id, project, model, version, dimensions, vector, created_at, checksum)
     select row_id, project, 'long', '', ${long}, zeroblob(${long * 4}), 0, '' from memories`,
  ]);
  const local = client as never as { scan(statement: InStatement): Promise<ResultSet> };
  const { scan } = local;
  const scans: { sql: string; args: InValue[]; rows: Row[] }[] = [];
  local.scan = async (statement) => {
    const { rows } = await scan.call(client, statement);
    scans.push({ ...(statement as { sql: string; args: InValue[] }), rows });
    return { rows } as ResultSet;
  };
  const search = async (model: string, vector: Float32Array) => {
    scans.length = 0;
    for (let i = 0; !scans.some(({ sql }) => sql.includes("chosen(row_id)")); i++) {
      expect(i).toBeLessThan(2_000);
      await memories.nearest(vector, { model });
    }
    const reads = scans.filter(({ sql }) => sql.startsWith(`select "memory_embeddings"."row_id"`));
    return Math.max(...reads.map(({ rows }) => rows.length));
  };
  expect(await search("long", new Float32Array(long).fill(1))).toBe(32);
  expect(await search("m", make())).toBe(128);

  // Only the first row of a query is read on another thread: it counts the others, so that they are there before it.
  const counts = (part: string) => {
    const { rows } = scans.findLast(({ sql }) => sql.includes(part))!;
    return [Number(Array.from(rows[0]!).findLast((value) => value !== null)), rows.length - 1];
  };
  for (const part of ["json_group_array", "chosen(row_id)"]) {
    const [counted, others] = counts(part);
    expect(counted, part).toBe(others);
  }

  // Without new vectors, a search does not look for them among the vectors of the model.
  const { sql, args } = scans.findLast((one) => one.sql.includes("chosen(row_id)"))!;
  const plan = (await client.execute({ sql: `explain query plan ${sql}`, args })).rows.map((row) => String(row.detail));
  const searches = plan.flatMap((detail, at) => (/USING.* memory_embeddings_model/.test(detail) ? [plan[at - 1]] : []));
  expect(searches).toEqual([expect.stringMatching(/^SEARCH vector_versions /)]);
});
