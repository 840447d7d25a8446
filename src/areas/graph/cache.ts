import { setImmediate as nextTurn } from "node:timers/promises";
import type { Row } from "@libsql/client";
import { type SQL, sql } from "drizzle-orm";
import { graphEdges, graphNodes, graphVersions } from "../../schema/graph.js";
import { LruCache } from "../../shared/lru-cache.js";
import type { Executor } from "../executor.js";
import { halvedUntilItFits } from "../read-all.js";
import { prepareStatement, type Statement, selection } from "../statements.js";
import { Adjacency, type EdgesOfType, estimateBytes } from "./algorithms/adjacency.js";

/** How many edges are read at once. */
const EDGES_PER_READ = 65_536;
/** How many nodes are read at once, and how many characters of ids: they come as one value, and a server takes 5 MB. */
const NODES_PER_READ = 16_384;
const ID_CHARS_PER_READ = 1_000_000;
/** How many reads in pieces may fail because the graph changed; the next one uses a snapshot. */
const MAX_TORN_READS = 3;

const project = sql.placeholder("project");
const e = graphEdges;
const n = graphNodes;

/** The number that changes with the graph; undefined for a graph that never had a node. */
const selectVersion = prepareStatement(
  () => sql`select ${graphVersions.version} from ${graphVersions} where ${graphVersions.project} = ${project}`,
);
const size = selection({
  nodes: sql`(select count(*) from ${n} where ${n.project} = ${project})`,
  idChars: sql`(select coalesce(sum(length(${n.id})), 0) from ${n} where ${n.project} = ${project})`,
  edges: sql`(select count(*) from ${e} where ${e.project} = ${project})`,
});
const selectSize = prepareStatement(() => sql`select ${size.columns}`);
// As one text, because the native library takes about a microsecond for each value of a row. An index gives the order.
const nodes = selection({ ids: sql`json_group_array(id)`, rowIds: sql`json_group_array(row_id)` });
const selectNodes = prepareStatement(
  () => sql`select ${nodes.columns} from
  (select ${n.id} as id, ${n.rowId} as row_id from ${n} where ${n.project} = ${project}
    and ${n.id} > ${sql.placeholder("last")} order by ${n.id} limit ${sql.placeholder("limit")})`,
);
const edges = selection({
  type: e.type,
  from: sql`group_concat(${e.fromRow})`,
  to: sql`group_concat(${e.toRow})`,
  isWeighted: sql`max(${e.weight} <> 1)`,
  // 17 digits give back every bit of a number that is not an integer.
  weights: sql`group_concat(case when ${e.weight} = cast(${e.weight} as integer) then cast(${e.weight} as integer)
    else printf('%!.17g', ${e.weight}) end)`,
});
const edgesOfTypes = (where: SQL) =>
  prepareStatement(
    () => sql`select ${edges.columns} from ${e} where ${e.project} = ${project} ${where}
    group by ${e.type} order by ${e.type}`,
  );
const selectAllEdges = edgesOfTypes(sql``);
const typeAndNode = sql`(${e.type}, ${e.fromRow})`;
const boundary = sql`(${sql.placeholder("type")}, ${sql.placeholder("row")})`;
const nextBoundary = sql`(${sql.placeholder("nextType")}, ${sql.placeholder("nextRow")})`;
const selectEdgesBetween = edgesOfTypes(sql`and ${typeAndNode} >= ${boundary} and ${typeAndNode} < ${nextBoundary}`);
const selectEdgesFrom = edgesOfTypes(sql`and ${typeAndNode} >= ${boundary}`);
const start = selection({ type: e.type, row: e.fromRow });
/** The next piece starts at another node or type, so that no row of the graph is split. */
const selectBoundary = prepareStatement(
  () => sql`select ${start.columns} from ${e}
  where ${e.project} = ${project} and ${typeAndNode} > ${boundary}
  order by ${e.type}, ${e.fromRow} limit 1 offset ${sql.placeholder("offset")}`,
);

/** How a caller will use the graph. */
export interface GraphDemand {
  /**
   * Whether a query can answer at less than the cost of reading the graph. Then the graph is read only for the second of
   * two such calls on the same version.
   */
  readonly isSmall?: boolean;
  /** Whether it is needed even if it does not fit, to be dropped after use. */
  readonly isRequired?: boolean;
}

/**
 * Keeps the graphs of projects in memory, up to a number of bytes; the least recently used one is dropped first.
 *
 * Triggers change the version of a project in `graph_versions` with every change of its graph. Every use reads it on the
 * executor of the caller and compares it with the version of the graph in memory. So commits of other handles and
 * processes, and changes by manual SQL, are noticed, and a transaction sees its own writes.
 */
export class GraphCache {
  readonly maxBytes: number;
  readonly #graphs: LruCache<Adjacency> | undefined;
  /** By project: the version that a small call has asked for, and the version that does not fit. */
  readonly #asked = new LruCache<number>({ max: 1000 });
  readonly #tooBig = new LruCache<number>({ max: 1000 });
  readonly #reading = new Map<string, { executor: Executor; graph: Promise<Adjacency | undefined> }>();

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
    if (maxBytes > 0) {
      this.#graphs = new LruCache(
        maxBytes === Number.POSITIVE_INFINITY ? { max: 1000 } : { maxSize: maxBytes, sizeOf: bytesOf },
      );
    }
  }

  /** The graph of a project as `executor` sees it now; undefined where a query has to answer. */
  async get(executor: Executor, project: string, demand: GraphDemand = {}): Promise<Adjacency | undefined> {
    const isRequired = demand.isRequired === true;
    const mayFit = this.#graphs !== undefined && demand.isSmall !== true && !this.#tooBig.has(project);
    // If the graph will be read, its size is read with the version.
    const isUnread = this.#graphs?.has(project) !== true && (isRequired || mayFit);
    const measured = isUnread ? await measure(executor, project) : undefined;
    const version =
      measured === undefined ? versionIn(await executor.execute(selectVersion({ project }))) : measured.version;
    const known = this.#graphs?.get(project);
    if (known !== undefined && known.version === version) return known;
    if (!isRequired) {
      if (this.#graphs === undefined || this.#tooBig.get(project) === version) return undefined;
      if (demand.isSmall === true && version !== undefined && this.#asked.get(project) !== version) {
        this.#asked.set(project, version);
        return undefined;
      }
    }
    return this.#readOnce(executor, project, version, isRequired, measured);
  }

  /** The same, whether it fits or not. */
  async require(executor: Executor, project: string): Promise<Adjacency> {
    return (await this.get(executor, project, { isRequired: true }))!;
  }

  /** The statement whose answer is `version` of a graph that `get` gives, for as long as nothing changes. */
  versionStatement(project: string): Statement {
    return selectVersion({ project });
  }

  /** Concurrent callers for the same version share one read. */
  #readOnce(
    executor: Executor,
    project: string,
    version: number | undefined,
    isRequired: boolean,
    measured: Measured | undefined,
  ) {
    const key = JSON.stringify([project, version, isRequired]);
    const running = this.#reading.get(key);
    if (running !== undefined && running.executor === executor) return running.graph;
    const graph = this.#read(executor, project, isRequired, measured);
    this.#reading.set(key, { executor, graph });
    const forget = () => {
      if (this.#reading.get(key)?.graph === graph) this.#reading.delete(key);
    };
    graph.then(forget, forget);
    return graph;
  }

  async #read(
    executor: Executor,
    project: string,
    isRequired: boolean,
    measured: Measured | undefined,
  ): Promise<Adjacency | undefined> {
    for (let attempt = 0; ; attempt++) {
      const known = attempt === 0 ? measured : undefined;
      const { version, nodes, idChars, edges } = known ?? (await measure(executor, project));
      const fits = estimateBytes(nodes, edges, idChars) <= this.maxBytes;
      if (!fits && version !== undefined) this.#tooBig.set(project, version);
      if (!fits && !isRequired) return undefined;
      const isSmall = edges <= EDGES_PER_READ && idChars <= ID_CHARS_PER_READ;
      const read = await (isSmall
        ? readWhole(executor, project)
        : attempt < MAX_TORN_READS
          ? readInPieces(executor, project, version)
          : readSnapshot(executor, project));
      if (read === undefined) continue;
      const graph = toAdjacency(read);
      if (fits && read.version !== undefined) this.#graphs?.set(project, graph);
      return graph;
    }
  }
}

function bytesOf(graph: Adjacency): number {
  const idChars = graph.ids.reduce((sum, id) => sum + id.length, 0);
  return estimateBytes(graph.size, graph.edgeCount, idChars) + 1;
}

export type Rows = { readonly rows: readonly Row[] };

/** The version in the answer to `versionStatement`. */
export function versionIn({ rows }: Rows): number | undefined {
  return rows[0] === undefined ? undefined : Number(rows[0][0]);
}

/** The size of a version. */
interface Measured {
  readonly version: number | undefined;
  readonly nodes: number;
  readonly idChars: number;
  readonly edges: number;
}

async function measure(executor: Executor, project: string): Promise<Measured> {
  const [versions, sizes] = await executor.batch([selectVersion({ project }), selectSize({ project })]);
  const row = sizes!.rows[0]!;
  const [nodes, idChars, edges] = [row[size.at.nodes], row[size.at.idChars], row[size.at.edges]].map(Number);
  return { version: versionIn(versions!), nodes: nodes!, idChars: idChars!, edges: edges! };
}

/** A graph as it is read: nodes by id, edges by the row ids of their ends. */
interface GraphRead {
  readonly version: number | undefined;
  readonly ids: string[];
  readonly rowIds: number[];
  readonly edges: Row[];
}

async function readWhole(executor: Executor, project: string): Promise<GraphRead> {
  const [versions, nodes, edges] = await executor.batch([
    selectVersion({ project }),
    selectNodes({ project, last: "", limit: -1 }),
    selectAllEdges({ project }),
  ]);
  return { version: versionIn(versions!), ...nodesIn(nodes!), edges: [...(edges!.rows as unknown as Rows["rows"])] };
}

/** Reads from a snapshot; where there are none, in one piece. */
async function readSnapshot(executor: Executor, project: string): Promise<GraphRead | undefined> {
  const snapshot = await executor.snapshot();
  try {
    if (!snapshot.isStable) return await readWhole(executor, project);
    const version = versionIn(await snapshot.executor.execute(selectVersion({ project })));
    return await readInPieces(snapshot.executor, project, version);
  } finally {
    snapshot.close();
  }
}

/** Lets the event loop run between two pieces. Undefined if the graph has changed between them. */
async function readInPieces(
  executor: Executor,
  project: string,
  version: number | undefined,
): Promise<GraphRead | undefined> {
  const check = selectVersion({ project });
  const read = async (statement: Statement): Promise<Rows | undefined> => {
    const [versions, result] = await executor.batch([check, statement]);
    await nextTurn();
    return versionIn(versions!) === version ? (result as unknown as Rows) : undefined;
  };
  const ids: string[] = [];
  const rowIds: number[] = [];
  for (let isLast = false; !isLast; ) {
    const last = ids.at(-1) ?? "";
    const { found, asked } = await halvedUntilItFits(NODES_PER_READ, async (limit) => {
      return { found: await read(selectNodes({ project, last, limit })), asked: limit };
    });
    if (found === undefined) return undefined;
    const piece = nodesIn(found);
    for (const id of piece.ids) ids.push(id);
    for (const rowId of piece.rowIds) rowIds.push(rowId);
    isLast = piece.ids.length < asked;
  }
  const edges: Row[] = [];
  for (let first: { type: string; row: number } | undefined = { type: "", row: 0 }; first !== undefined; ) {
    const from: { project: string; type: string; row: number } = { project, ...first };
    const bound = await read(selectBoundary({ ...from, offset: EDGES_PER_READ }));
    if (bound === undefined) return undefined;
    const [row] = bound.rows;
    const next = row === undefined ? undefined : { type: row[start.at.type] as string, row: Number(row[start.at.row]) };
    const piece = await read(
      next === undefined
        ? selectEdgesFrom(from)
        : selectEdgesBetween({ ...from, nextType: next.type, nextRow: next.row }),
    );
    if (piece === undefined) return undefined;
    edges.push(...piece.rows);
    first = next;
  }
  return { version, ids, rowIds, edges };
}

function nodesIn({ rows }: Rows): { ids: string[]; rowIds: number[] } {
  const row = rows[0]!;
  const [ids, rowIds] = [row[nodes.at.ids] as string, row[nodes.at.rowIds] as string];
  return { ids: JSON.parse(ids) as string[], rowIds: JSON.parse(rowIds) as number[] };
}

function toAdjacency(read: GraphRead): Adjacency {
  const placeOf = placesByRow(read.rowIds);
  const { at } = edges;
  const byType = read.edges.map((row): EdgesOfType => {
    // `Uint32Array.from` is slower: it calls its function through an iterator.
    const places = (text: unknown) => {
      const list = numbers(text);
      const all = new Uint32Array(list.length);
      for (let index = 0; index < list.length; index++) all[index] = placeOf(list[index]!);
      return all;
    };
    const isWeighted = Number(row[at.isWeighted]) === 1;
    return {
      type: row[at.type] as string,
      from: places(row[at.from]),
      to: places(row[at.to]),
      weights: isWeighted ? Float64Array.from(numbers(row[at.weights])) : undefined,
    };
  });
  return new Adjacency(read.ids, byType, read.version);
}

function numbers(list: unknown): number[] {
  return JSON.parse(`[${list as string}]`) as number[];
}

/** Row ids of one project often stand close together: then a table finds them faster than a Map. */
function placesByRow(rowIds: readonly number[]): (row: number) => number {
  const least = rowIds.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const most = rowIds.reduce((a, b) => Math.max(a, b), 0);
  if (rowIds.length > 0 && most - least < rowIds.length * 8) {
    const places = new Uint32Array(most - least + 1);
    for (const [place, row] of rowIds.entries()) places[row - least] = place;
    return (row) => places[row - least]!;
  }
  const places = new Map(rowIds.map((row, place) => [row, place]));
  return (row) => places.get(row)!;
}
