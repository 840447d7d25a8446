/** More stories than an editor has open; about 2 MB with ids of usual length. */
const MAX_STORIES = 10_000;

/**
 * The revision of each story that this service loaded or saved last: an edit begins from it unless it names another.
 *
 * The projects of a storage share one map of `MAX_STORIES` entries, which drops the oldest entry first.
 */
export class ShownRevisions {
  readonly #revisions: Map<string, number>;
  readonly #prefix: string;

  constructor(shared: Map<string, number>, project: string) {
    this.#revisions = shared;
    this.#prefix = `${JSON.stringify(project)}:`;
  }

  /** 0 if there was no story; undefined if the story was not loaded or saved. */
  get(id: string): number | undefined {
    return this.#revisions.get(this.#prefix + id);
  }

  note(id: string, revision: number): void {
    const key = this.#prefix + id;
    this.#revisions.delete(key);
    this.#revisions.set(key, revision);
    if (this.#revisions.size <= MAX_STORIES) return;
    const [oldest] = this.#revisions.keys();
    this.#revisions.delete(oldest!);
  }

  /** Notes a change of metadata: the text is still the loaded one unless someone else changed it in between. */
  noteMetadata(id: string, revision: number): void {
    if (this.get(id) === revision - 1) this.note(id, revision);
  }

  clear(): void {
    for (const key of [...this.#revisions.keys()]) if (key.startsWith(this.#prefix)) this.#revisions.delete(key);
  }
}
