import { expectId } from "../../arguments.js";
import { namesIn, readTextSync, toUnknownOutcome } from "./files.js";
import { toFileName } from "./names.js";
import type { StoryRoot } from "./root.js";

interface Item<T> {
  readonly key: string;
  readonly value: T;
  /** The time of its first `set` in microseconds; unique within a process. */
  readonly order: number;
}

/** Values by key, each in its own file. */
export class FolderMap<T> {
  readonly #root: StoryRoot;
  readonly #folder: string;
  #lastOrder = 0;

  constructor(root: StoryRoot, folder: string) {
    this.#root = root;
    this.#folder = folder;
  }

  async get(key: string): Promise<T | undefined> {
    return this.#read(this.#fileOf(key))?.value;
  }

  /** A value that replaces another keeps its place in the order. */
  async set(key: string, value: T): Promise<void> {
    const file = this.#fileOf(key);
    await this.#root.locked(async () => {
      const known = this.#read(file);
      this.#lastOrder = Math.max(this.#lastOrder + 1, Date.now() * 1000);
      const order = known?.order ?? this.#lastOrder;
      const item: Item<T> = { key, value, order };
      await this.#root.write(file, JSON.stringify(item));
    });
  }

  delete(key: string): Promise<boolean> {
    const file = this.#fileOf(key);
    return this.#root.locked(() => this.#root.remove(file));
  }

  clear(): Promise<void> {
    return this.#root.locked(async () => {
      let hasBegun = false;
      try {
        for (const name of namesIn(this.#root.at(this.#folder))) {
          await this.#root.remove(`${this.#folder}/${name}`);
          hasBegun = true;
        }
      } catch (error) {
        throw hasBegun ? toUnknownOutcome(error) : error;
      }
    });
  }

  /** In the order in which they were added. */
  async all(): Promise<Item<T>[]> {
    const items = namesIn(this.#root.at(this.#folder)).flatMap((name) => this.#read(`${this.#folder}/${name}`) ?? []);
    return items.sort((a, b) => a.order - b.order);
  }

  #read(file: string): Item<T> | undefined {
    const text = readTextSync(this.#root.at(file));
    return text === undefined ? undefined : (JSON.parse(text) as Item<T>);
  }

  #fileOf(key: string): string {
    expectId(key, "key");
    return `${this.#folder}/${toFileName(key)}.json`;
  }
}
