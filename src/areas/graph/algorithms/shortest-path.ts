import type { Adjacency, Direction, Selection } from "./adjacency.js";
import { Heap } from "./heap.js";
import { levelsFrom, Pace } from "./traverse.js";

const OPPOSITE: Readonly<Record<Direction, Direction>> = { out: "in", in: "out", both: "both" };

export interface PathOptions {
  readonly direction: Direction;
  readonly types: readonly string[] | undefined;
  readonly weighted: boolean;
}

/**
 * The nodes of the shortest path from `a` to `b`, among equals the smallest sequence; undefined where there is none.
 *
 * Distances are measured from `b` backwards: then the smallest node that lies on a shortest path is known at each step.
 */
export async function shortestPath(
  graph: Adjacency,
  a: number,
  b: number,
  { direction, types, weighted }: PathOptions,
): Promise<number[] | undefined> {
  if (a === b) return [a];
  const forwards = graph.select(direction, types);
  const backwards = graph.select(OPPOSITE[direction], types);
  const distances = weighted ? await weightsTo(graph, b, a, backwards) : await levelsTo(graph, b, a, backwards);
  if (distances[a] === UNREACHED) return undefined;
  return new Walk(distances, b, forwards, weighted).from(a);
}

const UNREACHED = -1;

/** Steps to `b`, as far as they are fewer than those from `a`. */
async function levelsTo(graph: Adjacency, b: number, a: number, selection: Selection): Promise<Float64Array> {
  const { nodes, starts } = await levelsFrom(graph, b, selection, { depth: Number.POSITIVE_INFINITY, target: a });
  const distances = new Float64Array(graph.size).fill(UNREACHED);
  for (let level = 0; level + 1 < starts.length; level++) {
    for (let index = starts[level]!; index < starts[level + 1]!; index++) distances[nodes[index]!] = level;
  }
  return distances;
}

/** Dijkstra from `b`; ends when all nodes as near as `a` are settled. */
async function weightsTo(graph: Adjacency, b: number, a: number, selection: Selection): Promise<Float64Array> {
  const pace = new Pace();
  const distances = new Float64Array(graph.size).fill(UNREACHED);
  const best = new Float64Array(graph.size).fill(Number.POSITIVE_INFINITY);
  const isQueued = new Uint8Array(graph.size);
  const heap = new Heap();
  heap.push(0, b);
  best[b] = 0;
  while (heap.size > 0) {
    const due = pace.step();
    if (due !== undefined) await due;
    const { key, node } = heap.pop();
    if (distances[node] !== UNREACHED) continue;
    if (distances[a] !== UNREACHED && key > distances[a]!) break;
    distances[node] = key;
    for (const { offsets, targets, types, weights } of selection.rows) {
      for (let at = offsets[node]!, last = offsets[node + 1]!; at < last; at++) {
        const next = targets[at]!;
        if (selection.follows !== undefined && selection.follows[types[at]!] === 0) continue;
        const distance = key + (weights === undefined ? 1 : weights[at]!);
        // The first one counts even at infinity, to which huge weights may add up.
        if (distances[next] !== UNREACHED || (isQueued[next] === 1 && distance >= best[next]!)) continue;
        isQueued[next] = 1;
        best[next] = distance;
        heap.push(distance, next);
      }
    }
  }
  return distances;
}

/** The path from a node to `b` along edges that reduce the distance, each time to the smallest node that leads on. */
class Walk {
  readonly #distances: Float64Array;
  readonly #b: number;
  readonly #selection: Selection;
  readonly #weighted: boolean;
  readonly #visited = new Set<number>();

  constructor(distances: Float64Array, b: number, selection: Selection, weighted: boolean) {
    this.#distances = distances;
    this.#b = b;
    this.#selection = selection;
    this.#weighted = weighted;
  }

  async from(a: number): Promise<number[]> {
    const pace = new Pace();
    const path = [a];
    this.#visited.add(a);
    /** A known path to the end. Its next node is taken unless a smaller one leads on too. */
    let known: number[] = [];
    let knownAt = 0;
    for (let node = a; node !== this.#b; ) {
      const due = pace.step();
      if (due !== undefined) await due;
      let chosen: number | undefined;
      for (const next of this.#nearer(node)) {
        if (next === known[knownAt]) {
          chosen = next;
          knownAt++;
          break;
        }
        const way = this.#wayOn(next);
        if (way === undefined) continue;
        chosen = next;
        known = way;
        knownAt = 0;
        break;
      }
      node = chosen!;
      path.push(node);
      this.#visited.add(node);
    }
    return path;
  }

  /** Where an edge of a shortest path leads from `node`, ascending. */
  #nearer(node: number): number[] {
    const { rows, follows } = this.#selection;
    const distance = this.#distances[node]!;
    const found = new Set<number>();
    for (const { offsets, targets, types, weights } of rows) {
      for (let at = offsets[node]!, last = offsets[node + 1]!; at < last; at++) {
        const next = targets[at]!;
        if (follows !== undefined && follows[types[at]!] === 0) continue;
        if (this.#distances[next] === UNREACHED || this.#visited.has(next)) continue;
        const weight = this.#weighted && weights !== undefined ? weights[at]! : 1;
        if (this.#distances[next]! + weight === distance) found.add(next);
      }
    }
    return [...found].sort((x, y) => x - y);
  }

  /**
   * How to go on from `node` to where the distance falls, without a node of the path; undefined where that is not
   * possible. Only edges of weight 0 (or too small to count) keep the distance and can lead into a dead end.
   */
  #wayOn(node: number): number[] | undefined {
    const plateau = this.#distances[node]!;
    const cameFrom = new Map<number, number>([[node, node]]);
    const stack = [node];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const next = this.#nearer(at);
      if (at === this.#b || next.some((one) => this.#distances[one]! < plateau)) return wayTo(at, cameFrom);
      for (const one of next) {
        if (cameFrom.has(one)) continue;
        cameFrom.set(one, at);
        stack.push(one);
      }
    }
    return undefined;
  }
}

/** The nodes after the first one of a search, up to `node`. */
function wayTo(node: number, cameFrom: ReadonlyMap<number, number>): number[] {
  const way: number[] = [];
  for (let at = node; cameFrom.get(at) !== at; at = cameFrom.get(at)!) way.push(at);
  return way.reverse();
}
