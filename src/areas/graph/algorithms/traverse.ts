import { turnWhenDue } from "../../../shared/event-loop.js";
import type { Adjacency, Selection } from "./adjacency.js";

/** Lets the event loop run when it is time; checks the clock only every 1,024 steps. */
export class Pace {
  #steps = 0;

  /** A promise to wait for before going on, if any. */
  step(): Promise<void> | undefined {
    return (++this.#steps & 1023) === 0 ? turnWhenDue() : undefined;
  }
}

/** Nodes level by level, ascending within a level. */
export interface Levels {
  readonly nodes: Uint32Array;
  /** Where each level starts in `nodes`, and after the last one its end. */
  readonly starts: readonly number[];
}

export interface LevelOptions {
  /** Levels below the start. */
  readonly depth: number;
  /** No further level is begun once this many nodes are found. */
  readonly atLeast?: number | undefined;
  /** No further level is begun once this one is found. */
  readonly target?: number | undefined;
}

/** Breadth first from `start`, which is the only node of the first level. */
export async function levelsFrom(
  graph: Adjacency,
  start: number,
  { rows, follows }: Selection,
  { depth, atLeast = Number.POSITIVE_INFINITY, target = -1 }: LevelOptions,
): Promise<Levels> {
  const pace = new Pace();
  const state = new Uint8Array(graph.size);
  const nodes = new Uint32Array(graph.size);
  const starts = [0];
  nodes[0] = start;
  state[start] = SEEN;
  let count = 1;
  for (let level = 0; level < depth && count < atLeast && !state[target]; level++) {
    const end = count;
    for (let index = starts[level]!; index < end; index++) {
      const due = pace.step();
      if (due !== undefined) await due;
      const node = nodes[index]!;
      for (const { offsets, targets, types } of rows) {
        for (let at = offsets[node]!, last = offsets[node + 1]!; at < last; at++) {
          const next = targets[at]!;
          if (state[next] !== 0 || (follows !== undefined && follows[types[at]!] === 0)) continue;
          state[next] = NEW;
          nodes[count++] = next;
        }
      }
    }
    if (count === end) break;
    sortLevel(nodes.subarray(end, count), state);
    starts.push(end);
  }
  return { nodes: nodes.subarray(0, count), starts: [...starts, count] };
}

const SEEN = 1;
const NEW = 2;

/** Sorts the nodes of a level, and marks them as seen. */
function sortLevel(level: Uint32Array, state: Uint8Array): void {
  if (level.length * 16 < state.length) {
    if (level.length > 1) level.sort();
    for (let index = 0; index < level.length; index++) state[level[index]!] = SEEN;
    return;
  }
  // With so many, a look at every node costs less.
  for (let node = 0, index = 0; index < level.length; node++) {
    if (state[node] !== NEW) continue;
    state[node] = SEEN;
    level[index++] = node;
  }
}

/** The neighbors of a node, ascending, each once. */
export function neighborsOf(node: number, { rows, follows }: Selection): number[] {
  const found: number[] = [];
  for (const { offsets, targets, types } of rows) {
    for (let at = offsets[node]!, last = offsets[node + 1]!; at < last; at++) {
      if (follows === undefined || follows[types[at]!] === 1) found.push(targets[at]!);
    }
  }
  found.sort((a, b) => a - b);
  return found.filter((next, index) => index === 0 || next !== found[index - 1]);
}
