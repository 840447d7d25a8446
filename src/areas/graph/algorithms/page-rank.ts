import type { Adjacency } from "./adjacency.js";
import { Pace } from "./traverse.js";

export interface PageRankSettings {
  readonly damping: number;
  readonly tolerance: number;
  readonly maxIterations: number;
}

/**
 * The PageRank of each node; they add up to 1. Every edge counts once, independent of its weight; a node without outgoing
 * edges shares evenly among all. Ends when the scores of two rounds differ by less than `tolerance` in all.
 */
export async function pageRank(
  graph: Adjacency,
  { damping, tolerance, maxIterations }: PageRankSettings,
): Promise<Float64Array> {
  const nodes = graph.size;
  const { offsets, targets } = graph.in;
  const degrees = graph.out.offsets;
  const pace = new Pace();
  let scores = new Float64Array(nodes).fill(1 / nodes);
  let next = new Float64Array(nodes);
  const shares = new Float64Array(nodes);
  for (let round = 0; round < maxIterations; round++) {
    let dangling = 0;
    for (let node = 0; node < nodes; node++) {
      const degree = degrees[node + 1]! - degrees[node]!;
      if (degree === 0) dangling += scores[node]!;
      else shares[node] = scores[node]! / degree;
    }
    const base = (1 - damping + damping * dangling) / nodes;
    let change = 0;
    for (let node = 0; node < nodes; node++) {
      const due = pace.step();
      if (due !== undefined) await due;
      let sum = 0;
      for (let at = offsets[node]!, last = offsets[node + 1]!; at < last; at++) sum += shares[targets[at]!]!;
      next[node] = base + damping * sum;
      change += Math.abs(next[node]! - scores[node]!);
    }
    [scores, next] = [next, scores];
    if (change < tolerance) break;
  }
  return scores;
}
