import type { Adjacency } from "./adjacency.js";
import { Heap } from "./heap.js";
import { Pace } from "./traverse.js";

/** All nodes, each before those its edges lead to, the smallest first wherever there is a choice; fewer on a cycle. */
export async function topologicalOrder(graph: Adjacency): Promise<number[]> {
  const { offsets, targets } = graph.out;
  const pace = new Pace();
  const before = new Uint32Array(graph.size);
  for (const target of targets) before[target]!++;
  const ready = new Heap();
  for (let node = 0; node < graph.size; node++) if (before[node] === 0) ready.push(node, node);
  const order: number[] = [];
  while (ready.size > 0) {
    const due = pace.step();
    if (due !== undefined) await due;
    const { node } = ready.pop();
    order.push(node);
    for (let at = offsets[node]!; at < offsets[node + 1]!; at++) {
      const target = targets[at]!;
      if (--before[target]! === 0) ready.push(target, target);
    }
  }
  return order;
}
