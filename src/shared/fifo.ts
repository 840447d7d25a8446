/** A first-in, first-out queue. Unlike an array, it does not move all items at each step. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Adds `item` at the head. */
  unshift(item: T): void {
    if (this.#head > 0) this.#items[--this.#head] = item;
    else this.#items.unshift(item);
  }

  /** The item at the head, or `offset` places after it. */
  peek(offset = 0): T | undefined {
    return this.#items[this.#head + offset];
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  remove(item: T): void {
    this.takeWhere((other) => other === item);
  }

  /** Removes and returns the items that match, in order; `index` counts from the head. */
  takeWhere(matches: (item: T, index: number) => boolean): T[] {
    const taken: T[] = [];
    const kept: T[] = [];
    this.#items.slice(this.#head).forEach((item, index) => {
      (matches(item as T, index) ? taken : kept).push(item as T);
    });
    this.#items = kept;
    this.#head = 0;
    return taken;
  }
}
