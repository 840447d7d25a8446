import type { MemoryFilter, Storage } from "holdfast";
import { expect, test } from "vitest";
import { seededRandom } from "../../support/random.js";
import { fileTest, repeated, tempStorage } from "../../support/storage.js";

interface Expected {
  readonly id: string;
  readonly order: number;
  readonly type: string;
  readonly sessionId: string;
  readonly time: number;
  readonly tag: number;
  isDeleted: boolean;
  readonly vectors: Map<string, Float32Array>;
}

function cosineDistance(a: Float32Array, b: Float32Array): number {
  let [dot, ofA, ofB] = [0, 0, 0];
  for (const [i, x] of a.entries()) {
    dot += x * b[i]!;
    ofA += x * x;
    ofB += b[i]! * b[i]!;
  }
  return 1 - dot / Math.sqrt(ofA * ofB);
}

/** The distances of all memories that match, nearest first. */
function expectedDistances(all: readonly Expected[], vector: Float32Array, version?: string) {
  return all
    .filter(({ isDeleted }) => !isDeleted)
    .flatMap((one) => {
      const distances = [...one.vectors]
        .filter(([key]) => version === undefined || key === version)
        .map(([, own]) => cosineDistance(own, vector));
      return distances.length === 0 ? [] : [{ id: one.id, order: one.order, distance: Math.min(...distances) }];
    })
    .sort((a, b) => (Math.abs(a.distance - b.distance) < 1e-6 ? b.order - a.order : a.distance - b.distance));
}

test("nearest and search by vector agree with a scan in JavaScript, for filters, versions, deletions and ties", async () => {
  const random = seededRandom("nearest");
  await using temp = await tempStorage();
  const { memories } = temp.storage;
  // Few directions, so that many distances are equal.
  const vectorOf = () => {
    const vector = Float32Array.from({ length: 3 }, () => random.below(5) - 2);
    return vector.some((x) => x !== 0) ? vector : Float32Array.of(1, 0, 0);
  };
  const all: Expected[] = [];
  for (let order = 0; order < 120; order++) {
    const own = {
      id: `m${order}`,
      order,
      type: random.pick(["tool", "file"]),
      sessionId: random.pick(["s1", "s2", "s3"]),
      time: 1000 + random.below(50),
      tag: random.below(3),
      isDeleted: false,
      vectors: new Map([["", vectorOf()]]),
    };
    all.push(own);
  }
  await memories.insertMany(
    all.map(({ id, type, sessionId, time, tag, vectors }) => ({
      id,
      type,
      sessionId,
      content: "x",
      createdAt: new Date(time),
      metadata: { tag },
      embedding: vectors.get("")!,
      embeddingModel: "m",
    })),
  );
  // The same model with other lengths in another version, another model, and another project.
  await memories.setEmbedding("m0", [1, 2], { model: "m", version: "short" });
  await memories.setEmbedding("m1", [1, 2, 3], { model: "other" });
  const foreign = { content: "x", embedding: [1, 2, 3], embeddingModel: "m" };
  await temp.storage.project("b").memories.insertMany(Array.from({ length: 20 }, () => foreign));
  for (let round = 0; round < repeated(30); round++) {
    const changed = random.pick(all);
    if (random.below(3) === 0) {
      await (changed.isDeleted ? memories.restore(changed.id) : memories.delete(changed.id));
      changed.isDeleted = !changed.isDeleted;
    } else if (!changed.isDeleted) {
      const [vector, version] = [vectorOf(), random.pick(["", "2", "3"])];
      await memories.setEmbedding(changed.id, vector, version === "" ? { model: "m" } : { model: "m", version });
      changed.vectors.set(version, vector);
    }
    const vector = vectorOf();
    const [type, since, tag] = [random.pick(["tool", "file"]), 1000 + random.below(50), random.below(3)];
    const cases: [MemoryFilter, (one: Expected) => boolean][] = [
      [{}, () => true],
      [{ type }, (one) => one.type === type],
      [{ since: new Date(since), sessionId: "s2" }, (one) => one.time >= since && one.sessionId === "s2"],
      [{ metadata: { tag } }, (one) => one.tag === tag],
    ];
    for (const [filter, matches] of cases) {
      for (const version of [undefined, "2"]) {
        const limit = 1 + random.below(40);
        const wanted = expectedDistances(all.filter(matches), vector, version).slice(0, limit);
        const near = await memories.nearest(vector, { model: "m", version, limit, ...filter });
        expect(near.map(({ memory }) => memory.id)).toEqual(wanted.map(({ id }) => id));
        expect(await memories.nearest(vector, { model: "m", version, limit, exact: true, ...filter })).toEqual(near);
        for (const [i, { distance }] of near.entries()) expect(distance).toBeCloseTo(wanted[i]!.distance, 5);
        const options = { embedding: vector, embeddingModel: "m", embeddingVersion: version, mode: "vector" } as const;
        const found = await memories.search("x", { ...options, limit, ...filter });
        expect(found.map(({ memory }) => memory.id)).toEqual(wanted.map(({ id }) => id));
      }
    }
  }
});

/** Names of the client's calls with the SELECTs that have `part`. */
function callsWith(part: string, { client }: Storage): string[] {
  const calls: string[] = [];
  for (const name of ["execute", "scan"] as const) {
    const call = (client as never as Record<string, (statement: { sql: string }) => unknown>)[name]!;
    (client as never as Record<string, unknown>)[name] = (statement: { sql: string }) => {
      if (statement.sql.includes(part)) calls.push(name);
      return call.call(client, statement);
    };
  }
  return calls;
}

fileTest("nearest and search by vector compute the distances off the event loop", async () => {
  await using temp = await tempStorage();
  const { memories } = temp.storage;
  await memories.insert({ content: "x", embedding: [1, 0], embeddingModel: "m" });
  const calls = callsWith("vector_distance_cos", temp.storage);
  expect(await memories.nearest([1, 0], { model: "m" })).toHaveLength(1);
  expect(await memories.search("x", { embedding: [1, 0], embeddingModel: "m" })).toHaveLength(1);
  expect(calls).toEqual(["scan", "scan"]);
});

fileTest("memories without a vector are looked for off the event loop", async () => {
  await using temp = await tempStorage();
  const { memories } = temp.storage;
  await memories.insertMany([{ content: "x" }, { content: "y" }]);
  const calls = callsWith("not exists (select 1 from", temp.storage);
  expect(await memories.unembedded({ model: "m" })).toHaveLength(2);
  await memories.reembed(async (texts) => texts.map(() => [1, 0]), { model: "m" });
  // Two rounds of `reembed`, and the count of those that remain.
  expect(calls).toEqual(["scan", "scan", "scan", "scan"]);
});

fileTest("a new vector is compared with the lengths of the others by ranges of the index", async () => {
  await using temp = await tempStorage();
  const { client } = temp.storage;
  const { rows } = await client.execute("select sql from sqlite_schema where name = 'memory_embeddings_dimensions'");
  const [, condition] = /WHEN (.*)\sBEGIN/s.exec(String(rows[0]!.sql))!;
  const values = condition!.replace(/new\.(\w+)/g, (_, column) => (column === "dimensions" ? "2" : "'a'"));
  const plan = (await client.execute(`explain query plan select ${values}`)).rows.map((row) => String(row.detail));
  const searches = plan.filter((detail) => detail.startsWith("SEARCH") || detail.startsWith("SCAN memory"));
  expect(searches).toEqual([
    expect.stringMatching(/memory_embeddings_model \(project=\? AND model=\? AND version=\? AND dimensions<\?\)/),
    expect.stringMatching(/memory_embeddings_model \(project=\? AND model=\? AND version=\? AND dimensions>\?\)/),
  ]);
});
