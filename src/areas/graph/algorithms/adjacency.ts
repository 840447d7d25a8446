import { compareCodePoints } from "./code-points.js";

/** Which edges a traversal follows. */
export type Direction = "out" | "in" | "both";

/** The neighbors of all nodes, one after the other: those of `node` are at `offsets[node]` up to `offsets[node + 1]`. */
export interface CompressedRows {
  readonly offsets: Uint32Array;
  /** Ascending within a node. */
  readonly targets: Uint32Array;
  /** Indexes into `types`. */
  readonly types: Uint16Array | Uint32Array;
  /** Undefined where all weights are 1. */
  readonly weights: Float64Array | undefined;
}

/** Edges of one type, as they are read: ends by their place in `ids`. */
export interface EdgesOfType {
  readonly type: string;
  readonly from: Uint32Array;
  readonly to: Uint32Array;
  readonly weights: Float64Array | undefined;
}

/** Rows to follow in turn, with the types to follow or undefined for all. */
export interface Selection {
  readonly rows: readonly CompressedRows[];
  /** By index of type; undefined follows all. */
  readonly follows: Uint8Array | undefined;
}

/**
 * A graph in compressed sparse rows. It never changes; a changed graph is read again.
 *
 * A node is its place in the order of ids, so comparing places compares ids, and every answer that is sorted by place
 * does not depend on the order of insertion.
 */
export class Adjacency {
  /** By code point. */
  readonly ids: readonly string[];
  readonly types: readonly string[];
  readonly out: CompressedRows;
  /** Of the graph it was read from. */
  readonly version: number | undefined;
  #in: CompressedRows | undefined;

  constructor(ids: readonly string[], edges: readonly EdgesOfType[], version?: number) {
    this.version = version;
    this.ids = ids;
    this.types = [...new Set(edges.map(({ type }) => type))].sort(compareCodePoints);
    // Sorting by one end after the other sorts by both.
    this.out = transpose(byTarget(edges, this.types, ids.length), ids.length);
  }

  get in(): CompressedRows {
    this.#in ??= transpose(this.out, this.ids.length);
    return this.#in;
  }

  get size(): number {
    return this.ids.length;
  }

  get edgeCount(): number {
    return this.out.targets.length;
  }

  /** The place of an id, or undefined. */
  find(id: string): number | undefined {
    let low = 0;
    let high = this.ids.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const order = compareCodePoints(this.ids[middle]!, id);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }

  select(direction: Direction, types?: readonly string[]): Selection {
    const rows = direction === "out" ? [this.out] : direction === "in" ? [this.in] : [this.out, this.in];
    if (types === undefined) return { rows, follows: undefined };
    const wanted = new Set(types);
    return { rows, follows: Uint8Array.from(this.types, (type) => (wanted.has(type) ? 1 : 0)) };
  }
}

/**
 * Bytes that a graph of this size takes in memory at most, rows of both directions included.
 *
 * An edge has a target (4), a type (4) and a weight (8) in each direction; a node two offsets and its id.
 */
export function estimateBytes(nodes: number, edges: number, idChars: number): number {
  // A string has a header of 16 bytes, its place in the list 8, and a character takes 2 beyond Latin-1.
  return nodes * (8 + 24) + idChars * 2 + edges * 32;
}

function byTarget(edges: readonly EdgesOfType[], types: readonly string[], nodes: number): CompressedRows {
  const count = edges.reduce((sum, { to }) => sum + to.length, 0);
  const isWeighted = edges.some(({ weights }) => weights !== undefined);
  const rows = emptyRows(nodes, count, types.length, isWeighted);
  for (const { to } of edges) for (let index = 0; index < to.length; index++) rows.offsets[to[index]! + 1]!++;
  const next = startsOf(rows.offsets);
  for (const { type: name, from, to, weights } of edges) {
    const type = types.indexOf(name);
    for (let index = 0; index < to.length; index++) {
      const at = next[to[index]!]!++;
      rows.targets[at] = from[index]!;
      rows.types[at] = type;
      if (rows.weights !== undefined) rows.weights[at] = weights?.[index] ?? 1;
    }
  }
  return rows;
}

/** The same edges from their other ends; those of a node come out ascending. */
function transpose(rows: CompressedRows, nodes: number): CompressedRows {
  const { offsets, targets, types, weights } = rows;
  const turned: CompressedRows = {
    offsets: new Uint32Array(nodes + 1),
    targets: new Uint32Array(targets.length),
    types: types.slice(),
    weights: weights?.slice(),
  };
  for (let index = 0; index < targets.length; index++) turned.offsets[targets[index]! + 1]!++;
  const next = startsOf(turned.offsets);
  for (let node = 0; node < nodes; node++) {
    for (let index = offsets[node]!; index < offsets[node + 1]!; index++) {
      const at = next[targets[index]!]!++;
      turned.targets[at] = node;
      turned.types[at] = types[index]!;
      if (weights !== undefined) turned.weights![at] = weights[index]!;
    }
  }
  return turned;
}

function emptyRows(nodes: number, edges: number, types: number, isWeighted: boolean): CompressedRows {
  return {
    offsets: new Uint32Array(nodes + 1),
    targets: new Uint32Array(edges),
    types: types <= 0xffff ? new Uint16Array(edges) : new Uint32Array(edges),
    weights: isWeighted ? new Float64Array(edges) : undefined,
  };
}

/** Turns counts, shifted by one place, into offsets. Returns a copy to fill the rows with. */
function startsOf(offsets: Uint32Array): Uint32Array {
  for (let node = 1; node < offsets.length; node++) offsets[node]! += offsets[node - 1]!;
  return offsets.slice(0, -1);
}
