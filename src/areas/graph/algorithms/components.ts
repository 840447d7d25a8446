import type { Adjacency, CompressedRows } from "./adjacency.js";
import { Pace } from "./traverse.js";

/** Groups of nodes that edges connect in any direction, by their smallest node; nodes ascend within a group. */
export async function weakComponents(graph: Adjacency): Promise<number[][]> {
  const pace = new Pace();
  const component = new Int32Array(graph.size).fill(-1);
  const groups: number[][] = [];
  const { rows } = graph.select("both");
  for (let root = 0; root < graph.size; root++) {
    if (component[root] !== -1) continue;
    component[root] = groups.length;
    groups.push([]);
    const stack: number[] = [root];
    while (stack.length > 0) {
      const node = stack.pop()!;
      const due = pace.step();
      if (due !== undefined) await due;
      for (const { offsets, targets } of rows) {
        for (let at = offsets[node]!, last = offsets[node + 1]!; at < last; at++) {
          const next = targets[at]!;
          if (component[next] !== -1) continue;
          component[next] = component[root]!;
          stack.push(next);
        }
      }
    }
  }
  // Filled in order of nodes, so that each group is sorted.
  for (let node = 0; node < graph.size; node++) groups[component[node]!]!.push(node);
  return groups;
}

/**
 * Groups of nodes that reach each other, among those that `contains` admits. This is Tarjan's algorithm with an explicit
 * stack, since a chain of 100,000 nodes would overflow the call stack. Groups and nodes are not sorted.
 */
export async function strongComponents(
  { offsets, targets }: CompressedRows,
  roots: Iterable<number>,
  contains: (node: number) => boolean,
  scratch: TarjanScratch,
): Promise<number[][]> {
  const pace = new Pace();
  const { order, low, next } = scratch;
  const groups: number[][] = [];
  const open: number[] = [];
  const touched: number[] = [];
  let count = 0;
  for (const root of roots) {
    if (order[root] !== 0) continue;
    const calls = [root];
    while (calls.length > 0) {
      const due = pace.step();
      if (due !== undefined) await due;
      const node = calls.at(-1)!;
      if (order[node] === 0) {
        order[node] = low[node] = ++count;
        next[node] = offsets[node]!;
        open.push(node);
        touched.push(node);
      }
      let deeper = -1;
      while (next[node]! < offsets[node + 1]!) {
        const target = targets[next[node]!++]!;
        if (!contains(target)) continue;
        if (order[target] === 0) {
          deeper = target;
          break;
        }
        if (order[target] !== CLOSED) low[node] = Math.min(low[node]!, order[target]!);
      }
      if (deeper !== -1) {
        calls.push(deeper);
        continue;
      }
      calls.pop();
      const caller = calls.at(-1);
      if (caller !== undefined) low[caller] = Math.min(low[caller]!, low[node]!);
      if (low[node] === order[node]) groups.push(close(node, open, order));
    }
  }
  for (const node of touched) order[node] = 0;
  return groups;
}

/** Room for the algorithm, all zero before and after each run. */
export interface TarjanScratch {
  readonly order: Uint32Array;
  readonly low: Uint32Array;
  readonly next: Uint32Array;
}

export function tarjanScratch(nodes: number): TarjanScratch {
  return { order: new Uint32Array(nodes), low: new Uint32Array(nodes), next: new Uint32Array(nodes) };
}

/** The `order` of nodes whose group is complete. */
const CLOSED = 0xffffffff;

function close(node: number, open: number[], order: Uint32Array): number[] {
  const group: number[] = [];
  for (;;) {
    const member = open.pop()!;
    order[member] = CLOSED;
    group.push(member);
    if (member === node) return group;
  }
}
