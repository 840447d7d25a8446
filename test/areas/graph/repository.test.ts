import { type Change, type GraphNodeInput, openStorage } from "holdfast";
import { describe, expect, test } from "vitest";
import { rejection } from "../../support/clients.js";
import { tempStorage } from "../../support/storage.js";

const node = (id: string, more: Partial<GraphNodeInput> = {}): GraphNodeInput => ({ id, kind: "k", name: id, ...more });

describe("nodes", () => {
  test("are stored, read in batches, replaced, changed and deleted with their edges and labels", async () => {
    await using temp = await tempStorage({ now: () => 1000 });
    const { graph } = temp.storage;
    const added = await graph.addNode(node("a", { data: { size: 1 }, labels: ["z", "b", "z"] }));
    expect(added).toEqual({
      id: "a",
      kind: "k",
      name: "a",
      data: { size: 1 },
      labels: ["b", "z"],
      createdAt: new Date(1000),
      updatedAt: new Date(1000),
    });
    expect(await graph.getNode("a")).toEqual(added);
    await graph.addNodes([node("b"), node("c")]);
    expect((await graph.getNodes(["c", "x", "a"])).map(({ id }) => id)).toEqual(["c", "a"]);
    expect(await rejection(graph.addNode(node("a")))).toMatchObject({
      code: "CONFLICT",
      table: "graph_nodes",
      columns: ["project", "id"],
    });
    const edge = await graph.addEdge({ from: "a", to: "b", type: "t" });
    expect(await graph.putNode(node("a", { kind: "other", labels: ["new"] }))).toMatchObject({
      kind: "other",
      data: {},
      labels: ["new"],
    });
    expect(await graph.getEdge(edge.id)).toEqual(edge);
    expect(await graph.updateNode("a", { name: "A", labels: [] })).toMatchObject({
      name: "A",
      kind: "other",
      labels: [],
    });
    expect(await graph.updateNode("x", { name: "A", labels: ["x"] })).toBeUndefined();
    expect(await graph.deleteNode("a")).toBe(true);
    expect(await graph.deleteNode("a")).toBe(false);
    expect(await graph.getEdge(edge.id)).toBeUndefined();
    expect(await graph.getNode("a")).toBeUndefined();
    expect(await rejection(graph.requireNode("a"))).toMatchObject({ code: "NOT_FOUND" });
    expect(await rejection(graph.requireEdge("e"))).toMatchObject({ code: "NOT_FOUND" });
  });

  test("a batch with one wrong node stores none", async () => {
    await using temp = await tempStorage();
    const { graph } = temp.storage;
    const many = Array.from({ length: 1200 }, (_, i) => node(`n${i}`));
    expect(await rejection(graph.addNodes([...many, node("n7")]))).toMatchObject({ code: "CONFLICT" });
    expect(await graph.kinds()).toEqual([]);
  });

  test.each([
    [{ id: "", kind: "k", name: "n" }, RangeError],
    [{ id: "a", kind: " ", name: "n" }, RangeError],
    [{ id: "a", kind: "k", name: "\t\n" }, RangeError],
    [{ id: "a", kind: "k" }, TypeError],
    [{ id: 7, kind: "k", name: "n" }, TypeError],
    [{ id: "a", kind: "k", name: "n", labels: [""] }, RangeError],
    [{ id: "a", kind: "k", name: "n", labels: "x" }, TypeError],
    [{ id: "a", kind: "k", name: "n", data: [] }, TypeError],
    [{ id: "a", kind: "k", name: "n", data: { x: Number.NaN } }, RangeError],
    [{ id: "a", kind: "k", name: "n", labl: [] }, TypeError],
  ])("%j is refused before any work", async (input, type) => {
    await using temp = await tempStorage();
    expect(await rejection(temp.storage.graph.addNode(input as GraphNodeInput))).toBeInstanceOf(type);
  });

  // `null` in a patch changed nothing, and the call returned the record as if it had.
  test("null in a patch is refused, and changes nothing", async () => {
    await using temp = await tempStorage();
    const { graph } = temp.storage;
    const before = await graph.addNode(node("a"));
    const edge = await graph.addEdge({ from: "a", to: "a", type: "t" });
    for (const key of ["kind", "name", "data", "labels"]) {
      expect(await rejection(graph.updateNode("a", { [key]: null }))).toBeInstanceOf(TypeError);
    }
    for (const key of ["type", "weight", "data"]) {
      expect(await rejection(graph.updateEdge(edge.id, { [key]: null }))).toBeInstanceOf(TypeError);
    }
    expect(await graph.getNode("a")).toEqual(before);
    expect(await graph.getEdge(edge.id)).toEqual(edge);
  });

  test("labels are added and removed, and an unknown node has none to add to", async () => {
    let now = 1000;
    await using temp = await tempStorage({ now: () => now });
    const { graph } = temp.storage;
    await graph.addNode(node("a"));
    now = 2000;
    expect(await graph.addLabel("a", "it's")).toBe(true);
    expect(await graph.requireNode("a")).toMatchObject({ labels: ["it's"], updatedAt: new Date(2000) });
    now = 3000;
    expect(await graph.addLabel("a", "it's")).toBe(false);
    expect((await graph.requireNode("a")).updatedAt).toEqual(new Date(2000));
    expect(await rejection(graph.addLabel("x", "l"))).toMatchObject({ code: "NOT_FOUND" });
    expect(await graph.removeLabel("x", "l")).toBe(false);
    expect(await graph.removeLabel("a", "it's")).toBe(true);
    expect((await graph.requireNode("a")).labels).toEqual([]);
  });
});

describe("findNodes", () => {
  const data = [
    node("1", { kind: "f", name: "main", data: { size: 5, tags: ["x", "y"], owner: { name: "ann" } }, labels: ["p"] }),
    node("2", { kind: "f", name: "mainly", data: { size: 7.5, ok: true, "a.b": 1, "q\"]'": 2, nil: null } }),
    node("3", { kind: "g", name: "Main", data: { size: "5", owner: { name: "bob" } }, labels: ["p", "q"] }),
    node("4", { kind: "g", name: "m\u{10ffff}\u{10ffff}", data: {} }),
  ];
  const cases: [string, object, string[]][] = [
    ["kind", { kind: "f" }, ["1", "2"]],
    ["name", { name: "main" }, ["1"]],
    ["a prefix of the name, with case", { namePrefix: "main" }, ["1", "2"]],
    ["a prefix that ends with the last character of all", { namePrefix: "m\u{10ffff}" }, ["4"]],
    ["a prefix that looks like a wildcard", { namePrefix: "ma%" }, []],
    ["label", { label: "p" }, ["1", "3"]],
    ["all together", { kind: "g", label: "p", namePrefix: "M", where: { size: "5" } }, ["3"]],
    ["a number, which is not the text of it", { where: { size: 5 } }, ["1"]],
    ["a nested value", { where: { "owner.name": "bob" } }, ["3"]],
    ["a place in a list", { where: { "tags.1": "y" } }, ["1"]],
    ["bounds of numbers", { where: { size: { gt: 5 } } }, ["2"]],
    ["bounds on both sides", { where: { size: { gte: 5, lt: 7.5 } } }, ["1"]],
    ["bounds of texts", { where: { "owner.name": { gt: "ann", lte: "bob" } } }, ["3"]],
    ["a boolean", { where: { ok: true } }, ["2"]],
    ["null", { where: { nil: null } }, ["2"]],
    ["an object as a whole", { where: { owner: { name: "ann" } } }, ["1"]],
    ["a key with a dot", { where: { "a\\.b": 1 } }, ["2"]],
    ["a path that is not there, through a text", { where: { "size.deeper": 1 } }, []],
    ["a key of quotes and brackets", { where: { "q\"]'": { gte: 2 } } }, ["2"]],
    ["a key that tries SQL", { where: { "x') or 1=1 --": 1 } }, []],
    ["nothing", {}, ["1", "2", "3", "4"]],
  ];
  test.each(cases)("by %s", async (_, filter, expected) => {
    await using temp = await tempStorage();
    const { graph } = temp.storage;
    await graph.addNodes(data);
    expect((await graph.findNodes(filter)).items.map(({ id }) => id)).toEqual(expected);
    const matched = await graph.match([{ as: "n", ...filter }]);
    expect(matched.map(({ n }) => (n as { id: string }).id)).toEqual(expected);
  });

  test("pages by id, and rows inserted between two pages neither repeat nor skip others", async () => {
    await using temp = await tempStorage();
    const { graph } = temp.storage;
    await graph.addNodes(["b", "d", "\u{fffd}", "😀", "f"].map((id) => node(id)));
    const first = await graph.findNodes({ limit: 2 });
    await graph.addNodes([node("a"), node("c"), node("e")]);
    const second = await graph.findNodes({ limit: 2, cursor: first.nextCursor });
    const third = await graph.findNodes({ limit: 2, cursor: second.nextCursor });
    expect([first, second, third].map(({ items }) => items.map(({ id }) => id))).toEqual([
      ["b", "d"],
      ["e", "f"],
      ["\u{fffd}", "😀"],
    ]);
    expect(third.nextCursor).toBeUndefined();
    expect(await rejection(graph.findNodes({ cursor: "x" }))).toBeInstanceOf(TypeError);
    for (const a of [
      { gt: 1, or: 2 },
      { ne: 1 },
      { $gt: 1 },
      { in: [1] },
      { greaterThan: 1 },
      { ">": 5 },
      { "!=": 5 },
      { not: 5 },
      { contains: 1 },
    ]) {
      const error = await rejection(graph.findNodes({ where: { a } }));
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(/^Expected `where\.a` to be a value, or bounds of gt, gte, lt, lte alone/);
      expect(error.message).toMatch(`A value in an object of the data has its own path: "a.${Object.keys(a)[0]}"`);
    }
    // Names that data has as well are compared as they are, and so is an empty object.
    await graph.addNode({ id: "range", kind: "k", name: "range", data: { a: { min: 5 }, b: {}, c: { not: 5 } } });
    for (const where of [{ a: { min: 5 } }, { b: {} }, { "a.min": 5 }, { "c.not": 5 }]) {
      expect((await graph.findNodes({ where })).items.map(({ id }) => id)).toEqual(["range"]);
    }
    expect(await rejection(graph.findNodes({ wher: {} } as object))).toBeInstanceOf(TypeError);
  });
});

describe("edges", () => {
  test("need both nodes, and one of each type between two unless parallel", async () => {
    await using temp = await tempStorage();
    const { graph } = temp.storage;
    await graph.addNodes([node("a"), node("b")]);
    for (const [from, to, end] of [
      ["a", "x", "to"],
      ["x", "a", "from"],
    ] as const) {
      const expected = {
        code: "FOREIGN_KEY",
        table: "graph_edges",
        columns: [`${end}_row`],
        message: expect.stringMatching(`There is no node "x", which \`${end}\` of an edge names\\. Add the node first`),
      };
      const edge = { from, to, type: "t" };
      expect(await rejection(graph.addEdge(edge))).toMatchObject(expected);
      for (const onConflict of ["fail", "skip"] as const)
        expect(await rejection(graph.addEdges([edge], { onConflict }))).toMatchObject({ ...expected, index: 0 });
      expect(await rejection(graph.import(JSON.stringify({ edge })))).toMatchObject({
        message: expect.stringMatching(/there is no node "x"/i),
      });
    }
    const first = await graph.addEdge({ from: "a", to: "b", type: "t" });
    expect(first).toMatchObject({ weight: 1, data: {} });
    const taken = { code: "CONFLICT", table: "graph_edges", columns: ["from_row", "to_row", "type", "copy"] };
    expect(await rejection(graph.addEdge({ from: "a", to: "b", type: "t" }))).toMatchObject(taken);
    // The error advised another id and `put`; neither helps.
    const { message } = (await rejection(graph.addEdge({ from: "a", to: "b", type: "t" }))) as Error;
    expect(message).toContain("`parallel: true`");
    await graph.addEdge({ from: "b", to: "a", type: "t" });
    await graph.addEdge({ from: "a", to: "b", type: "u" });
    const parallels = await graph.addEdges(
      [1, 2].map((weight) => ({ from: "a", to: "b", type: "t", weight, parallel: true })),
    );
    // Any of the parallel edges can be deleted; the others still conflict with one that is not parallel.
    expect(await graph.deleteEdge(first.id)).toBe(true);
    expect(await graph.deleteEdge(first.id)).toBe(false);
    expect(await rejection(graph.addEdge({ from: "a", to: "b", type: "t" }))).toMatchObject(taken);
    expect(await rejection(graph.updateEdge(parallels[0]!.id, { type: "u" }))).toMatchObject(taken);
    expect(await graph.updateEdge(parallels[0]!.id, { type: "v", weight: 0 })).toMatchObject({ type: "v", weight: 0 });
    expect(await rejection(graph.addEdge({ from: "a", to: "b", type: "t" }))).toMatchObject(taken);
    await graph.deleteEdge(parallels[1]!.id);
    await graph.addEdge({ from: "a", to: "b", type: "t" });
    expect(await graph.edgeTypes()).toEqual([
      { type: "t", count: 2 },
      { type: "u", count: 1 },
      { type: "v", count: 1 },
    ]);
    expect(await graph.updateEdge("x", { weight: 1 })).toBeUndefined();
  });

  test("weights come back to the last bit, and wrong ones are refused", async () => {
    await using temp = await tempStorage();
    const { graph } = temp.storage;
    await graph.addNodes([node("a"), node("b")]);
    const weights = [
      0.1,
      0.30000000000000004,
      1 / 3,
      5e-324,
      1.7976931348623157e308,
      2 ** 60,
      1e-5 / 3,
      0,
      12345.678901234567,
    ];
    const added = await graph.addEdges(
      weights.map((weight) => ({ from: "a", to: "b", type: "t", weight, parallel: true })),
    );
    for (const [index, { id }] of added.entries()) expect((await graph.requireEdge(id)).weight).toBe(weights[index]);
    await graph.addNode(node("c"));
    for (const weight of weights) {
      const { id } = await graph.addEdge({ from: "b", to: "c", type: "t", weight });
      expect((await graph.shortestPath("b", "c", { weighted: true }))?.weight).toBe(weight);
      await graph.deleteEdge(id);
    }
    for (const weight of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
      expect(await rejection(graph.addEdge({ from: "a", to: "b", type: "u", weight }))).toBeInstanceOf(RangeError);
    }
    expect(await rejection(graph.addEdge({ from: "a", to: "b", type: " " }))).toBeInstanceOf(RangeError);
    expect(await rejection(graph.addEdge({ from: "a", to: "b", type: "u", weight: "1" as never }))).toBeInstanceOf(
      TypeError,
    );
  });

  test("are listed by page, and by either end and type", async () => {
    await using temp = await tempStorage();
    const { graph } = temp.storage;
    await graph.addNodes(["a", "b", "c"].map((id) => node(id)));
    for (const [from, to] of ["cb", "ab", "ac", "bb", "aa"].map((pair) => [...pair] as [string, string])) {
      await graph.addEdges(["u", "t"].map((type) => ({ from, to, type, id: `${from}${to}${type}` })));
    }
    const all = ["aat", "aau", "abt", "abu", "act", "acu", "bbt", "bbu", "cbt", "cbu"];
    const paged: string[] = [];
    for (let cursor: string | undefined, page = 0; page === 0 || cursor !== undefined; page++) {
      const { items, nextCursor } = await graph.edges({ limit: 3, cursor });
      paged.push(...items.map(({ id }) => id));
      cursor = nextCursor;
    }
    expect(paged).toEqual(all);
    const ids = async (filter: object) => (await graph.edges(filter)).items.map(({ id }) => id);
    expect(await ids({ from: "a", type: "t" })).toEqual(["aat", "abt", "act"]);
    expect(await ids({ to: "b" })).toEqual(["abt", "abu", "bbt", "bbu", "cbt", "cbu"]);
    expect(await ids({ from: "x" })).toEqual([]);
  });
});

test("changes are announced after COMMIT, with the edges of a deleted node, and not after a rollback", async () => {
  await using temp = await tempStorage();
  const { storage } = temp;
  const changes: Change[] = [];
  storage.on("change", (change) => changes.push(change));
  const { graph } = storage.project("p");
  await graph.addNodes([node("a"), node("b")]);
  await graph.addEdges([{ id: "e", from: "a", to: "b", type: "t" }]);
  await graph.putNode(node("a"));
  await storage.project("p").transaction(async (tx) => {
    await tx.graph.addNode(node("c"));
    expect(await tx.graph.neighbors("a")).toEqual(["b"]);
    await tx
      .savepoint(async (inner) => {
        await inner.graph.addEdge({ from: "a", to: "c", type: "t" });
        expect(await inner.graph.neighbors("a")).toEqual(["b", "c"]);
        throw new Error("undo");
      })
      .catch(() => undefined);
    expect(await tx.graph.neighbors("a")).toEqual(["b"]);
    expect(changes).toHaveLength(3);
  });
  await graph.deleteNode("b");
  await storage.purgeProject("p");
  expect(changes).toEqual(
    [
      { action: "insert", ids: ["a", "b"] },
      { action: "insert", ids: ["e"] },
      { action: "update", ids: ["a"] },
      { action: "insert", ids: ["c"] },
      { action: "delete", ids: ["b", "e"] },
      { action: "purge", ids: ["a", "c"] },
    ].map((change) => ({ project: "p", area: "graph", ...change })),
  );
});

test("one id in two projects is two nodes, and nothing reaches from one project into the other", async () => {
  await using temp = await tempStorage();
  const { storage } = temp;
  const [a, b] = ["a", "b"].map((name) => storage.project(name).graph) as [typeof storage.graph, typeof storage.graph];
  await a.addNodes([node("x", { labels: ["l"], data: { own: "a" } }), node("only-a")]);
  await b.addNodes([node("x", { labels: ["l"], data: { own: "b" } }), node("y")]);
  await a.addEdge({ id: "e", from: "x", to: "only-a", type: "t" });
  await b.addEdge({ id: "e", from: "x", to: "y", type: "t" });
  expect(await rejection(b.addEdge({ from: "x", to: "only-a", type: "t" }))).toMatchObject({ code: "FOREIGN_KEY" });
  expect(await b.bfs("x", { direction: "both" })).toEqual(["x", "y"]);
  expect((await b.match([{ as: "n", label: "l" }])).map(({ n }) => n.data)).toEqual([{ own: "b" }]);
  expect(await b.subgraph(["x", "only-a", "y"])).toMatchObject({
    nodes: [{ id: "x" }, { id: "y" }],
    edges: [{ to: "y" }],
  });
  await b.updateEdge("e", { weight: 5 });
  await b.removeLabel("x", "l");
  await b.deleteNode("x");
  expect(await a.getNode("x")).toMatchObject({ labels: ["l"], data: { own: "a" } });
  expect(await a.requireEdge("e")).toMatchObject({ weight: 1, to: "only-a" });
  // Manual SQL cannot do it either: the foreign key includes the project.
  const rows = (await storage.client.execute("select row_id, project from graph_nodes order by project, id")).rows;
  const [own, , other] = rows.map((row) => Number(row.row_id));
  const crossing = storage.client.execute({
    sql: "insert into graph_edges (project, id, from_row, to_row, type, copy, weight, data) values ('a', 'c', ?, ?, 't', 0, 1, '{}')",
    args: [own!, other!],
  });
  expect(await rejection(crossing)).toMatchObject({ extendedCode: "SQLITE_CONSTRAINT_FOREIGNKEY" });
  expect(await storage.projects()).toEqual([
    { project: "a", count: 3 },
    { project: "b", count: 1 },
  ]);
  expect(await storage.purgeProject("a")).toBe(3);
  expect(await a.kinds()).toEqual([]);
  expect(await b.kinds()).toEqual([{ kind: "k", count: 1 }]);
  const left = await storage.client.execute("select project from graph_versions");
  expect(left.rows.map(({ project }) => project)).toEqual(["b"]);
});

test("the queries of every call use an index", async () => {
  await using temp = await tempStorage();
  const { storage, db } = temp;
  await storage.graph.addNodes([node("a"), node("b")]);
  await storage.graph.addEdge({ id: "e", from: "a", to: "b", type: "t" });
  await using uncached = await openStorage({ url: db.url, graphCacheBytes: 0 });
  const { client } = uncached;
  const seen: { sql: string; args: unknown }[] = [];
  const note = (statement: unknown) => seen.push(statement as { sql: string; args: unknown });
  const { execute, batch } = client;
  client.execute = ((statement: never) => {
    note(statement);
    return execute.call(client, statement);
  }) as never;
  client.batch = ((statements: never[], mode: never) => {
    for (const statement of statements) note(statement);
    return batch.call(client, statements, mode);
  }) as never;
  const { graph } = uncached;
  await graph.findNodes({ kind: "k" });
  await graph.findNodes({ namePrefix: "a" });
  await graph.findNodes({ label: "l" });
  await graph.edges({ from: "a" });
  await graph.edges({ to: "a" });
  await graph.edges({});
  await graph.neighbors("a", { direction: "both", types: ["t"] });
  await graph.degree("a");
  await graph.bfs("a", { direction: "both" });
  await graph.kHop("a", 2);
  await graph.hasPath("a", "b");
  await graph.shortestPath("a", "b");
  await graph.chain("a", [{}, { direction: "both", type: "t" }]);
  await graph.match([{ as: "f", kind: "k" }, { type: "t", direction: "both" }, {}, { direction: "in" }, { as: "g" }]);
  await graph.subgraph(["a", "b"]);
  await graph.kinds();
  await graph.edgeTypes();
  await graph.updateNode("a", { name: "c" });
  await graph.updateEdge("e", { weight: 2 });
  await graph.deleteEdge("e");
  await graph.deleteNode("a");
  const checked = [...new Map(seen.map((statement) => [statement.sql, statement])).values()];
  expect(checked.length).toBeGreaterThan(25);
  for (const { sql, args } of checked) {
    const { rows } = await execute.call(client, { sql: `explain query plan ${sql}`, args } as never);
    const scans = rows
      .map((row) => String(row.detail))
      .filter((detail) => /^SCAN (graph_\w+|[a-z]\d?)\b(?! VIRTUAL)/.test(detail));
    expect(scans, sql).toEqual([]);
  }
});
