/** A binary heap: the smallest key comes out first, of equal keys the smallest node. */
export class Heap {
  readonly #keys: number[] = [];
  readonly #nodes: number[] = [];

  get size(): number {
    return this.#keys.length;
  }

  push(key: number, node: number): void {
    let at = this.#keys.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(key, node, this.#keys[parent]!, this.#nodes[parent]!)) break;
      this.#place(at, this.#keys[parent]!, this.#nodes[parent]!);
      at = parent;
    }
    this.#place(at, key, node);
  }

  /** Takes the first out; the heap must not be empty. */
  pop(): { key: number; node: number } {
    const first = { key: this.#keys[0]!, node: this.#nodes[0]! };
    const key = this.#keys.pop()!;
    const node = this.#nodes.pop()!;
    const size = this.#keys.length;
    if (size === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      const keys = this.#keys;
      const nodes = this.#nodes;
      if (child + 1 < size && isBefore(keys[child + 1]!, nodes[child + 1]!, keys[child]!, nodes[child]!)) child++;
      if (!isBefore(keys[child]!, nodes[child]!, key, node)) break;
      this.#place(at, keys[child]!, nodes[child]!);
      at = child;
    }
    this.#place(at, key, node);
    return first;
  }

  #place(at: number, key: number, node: number): void {
    this.#keys[at] = key;
    this.#nodes[at] = node;
  }
}

function isBefore(key: number, node: number, otherKey: number, otherNode: number): boolean {
  return key < otherKey || (key === otherKey && node < otherNode);
}
