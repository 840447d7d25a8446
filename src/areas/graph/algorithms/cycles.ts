import type { Adjacency } from "./adjacency.js";
import { strongComponents, tarjanScratch } from "./components.js";
import { Heap } from "./heap.js";
import { Pace } from "./traverse.js";

/**
 * Up to `limit` simple cycles, each from its smallest node, in order of their nodes.
 *
 * This is Johnson's algorithm with an explicit stack. It finds the cycles through the smallest node of a strong component,
 * then does the same without that node. Each cycle costs at most one walk of its component.
 */
export async function simpleCycles(graph: Adjacency, limit: number): Promise<number[][]> {
  const cycles: number[][] = [];
  const { offsets, targets } = graph.out;
  const hasLoop = (node: number) => targets.subarray(offsets[node]!, offsets[node + 1]!).includes(node);
  const scratch = tarjanScratch(graph.size);
  // Which component a node is in at present; 0 is none.
  const home = new Uint32Array(graph.size);
  const groups = new Map<number, number[]>();
  const smallestFirst = new Heap();
  let count = 0;
  const addGroups = (found: number[][]) => {
    for (const group of found) {
      const smallest = group.reduce((a, b) => Math.min(a, b));
      const isCyclic = group.length > 1 || hasLoop(smallest);
      const id = isCyclic ? ++count : 0;
      for (const node of group) home[node] = id;
      if (!isCyclic) continue;
      groups.set(id, group);
      smallestFirst.push(smallest, id);
    }
  };
  addGroups(await strongComponents(graph.out, graph.ids.keys(), () => true, scratch));
  while (smallestFirst.size > 0 && cycles.length < limit) {
    const { key: start, node: id } = smallestFirst.pop();
    const group = groups.get(id)!;
    groups.delete(id);
    await new Circuits(graph, start, (node) => home[node] === id).collect(cycles, limit);
    home[start] = 0;
    const rest = group.filter((node) => node !== start);
    if (rest.length > 0) addGroups(await strongComponents(graph.out, rest, (node) => home[node] === id, scratch));
  }
  return cycles;
}

/** The simple cycles through one node within its component. */
class Circuits {
  readonly #graph: Adjacency;
  readonly #start: number;
  readonly #contains: (node: number) => boolean;
  readonly #blocked = new Set<number>();
  /** Nodes to unblock together with a node. */
  readonly #waiting = new Map<number, Set<number>>();

  constructor(graph: Adjacency, start: number, contains: (node: number) => boolean) {
    this.#graph = graph;
    this.#start = start;
    this.#contains = contains;
  }

  async collect(cycles: number[][], limit: number): Promise<void> {
    const { offsets, targets } = this.#graph.out;
    const start = this.#start;
    const pace = new Pace();
    const path = [start];
    /** Of each node of the path: the edge to look at next, and whether a cycle was closed from it. */
    const next = [offsets[start]!];
    const hasClosed = [false];
    this.#blocked.add(start);
    while (path.length > 0 && cycles.length < limit) {
      const due = pace.step();
      if (due !== undefined) await due;
      const depth = path.length - 1;
      const node = path[depth]!;
      const at = next[depth]!;
      if (at === offsets[node + 1]!) {
        this.#leave(node, hasClosed[depth]!);
        path.pop();
        next.pop();
        if (hasClosed.pop() === true && depth > 0) hasClosed[depth - 1] = true;
        continue;
      }
      next[depth] = at + 1;
      const target = targets[at]!;
      // Parallel edges are adjacent, and make one cycle.
      if ((at > offsets[node]! && targets[at - 1] === target) || !this.#contains(target)) continue;
      if (target === start) {
        cycles.push([...path]);
        hasClosed[depth] = true;
      } else if (!this.#blocked.has(target)) {
        this.#blocked.add(target);
        path.push(target);
        next.push(offsets[target]!);
        hasClosed.push(false);
      }
    }
  }

  #leave(node: number, hasClosed: boolean): void {
    if (hasClosed) {
      this.#unblock(node);
      return;
    }
    const { offsets, targets } = this.#graph.out;
    for (let at = offsets[node]!; at < offsets[node + 1]!; at++) {
      const target = targets[at]!;
      if (!this.#contains(target)) continue;
      const waiting = this.#waiting.get(target);
      if (waiting === undefined) this.#waiting.set(target, new Set([node]));
      else waiting.add(node);
    }
  }

  #unblock(first: number): void {
    const stack = [first];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (!this.#blocked.delete(node)) continue;
      const waiting = this.#waiting.get(node);
      this.#waiting.delete(node);
      if (waiting !== undefined) stack.push(...waiting);
    }
  }
}
