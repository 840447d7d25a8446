/** A custom story backend: twelve methods over a Map. When you run this file, it tests the backend. */
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import type { StoryBackend, StoryData, StoryFilter, StoryMetadata, StoryMetadataInput } from "holdfast/stories";
import { storyBackendCases } from "holdfast/stories/testing";

type Entry = { readonly json: string; readonly ownTitle: string | undefined; readonly metadata: StoryMetadata };

export class MemoryBackend implements StoryBackend {
  /** The last entry is the newest. `ownTitle` was given separately from the story, and stays until a save has another. */
  readonly #entries = new Map<string, Entry>();

  async initialize() {}

  async save(id: string, data: StoryData, { title, tags }: StoryMetadataInput = {}) {
    const { metadata } = data as { metadata?: { title?: string } };
    const brought = title ?? metadata?.title ?? (data.title as string | undefined);
    const ownTitle = title ?? (brought === undefined ? this.#entries.get(id)?.ownTitle : undefined);
    return this.#put(id, JSON.stringify(data), brought ?? ownTitle ?? "Untitled", ownTitle, tags);
  }

  async load(id: string) {
    const json = this.#entries.get(id)?.json;
    return json === undefined ? undefined : (JSON.parse(json) as StoryData);
  }

  async delete(id: string) {
    return this.#entries.delete(id);
  }

  async list({ tags = [], limit = Number.POSITIVE_INFINITY, offset = 0 }: StoryFilter = {}) {
    const all = [...this.#entries.values()].map(({ metadata }) => metadata).reverse();
    const matching = all.filter((one) => tags.length === 0 || one.tags.some((tag) => tags.includes(tag)));
    return structuredClone(matching.slice(offset, offset + limit));
  }

  async exists(id: string) {
    return this.#entries.has(id);
  }

  async getMetadata(id: string) {
    return structuredClone(this.#entries.get(id)?.metadata);
  }

  async updateMetadata(id: string, { title, tags }: StoryMetadataInput) {
    const entry = this.#entries.get(id);
    return entry && this.#put(id, entry.json, title ?? entry.metadata.title, title ?? entry.ownTitle, tags);
  }

  async export(id: string) {
    return this.#entries.get(id)?.json;
  }

  async importData(story: string | StoryData) {
    const data = (typeof story === "string" ? JSON.parse(story) : story) as StoryData | null;
    if (typeof data !== "object" || data === null || Array.isArray(data)) throw new TypeError("Expected a story");
    const { id = randomUUID() } = data as { id?: string };
    return (await this.save(id, data)).id;
  }

  async getStorageUsage() {
    return [...this.#entries.values()].reduce((bytes, { metadata }) => bytes + metadata.size, 0);
  }

  async clear() {
    this.#entries.clear();
  }

  #put(id: string, json: string, title: string, ownTitle: string | undefined, newTags?: readonly string[]) {
    const known = this.#entries.get(id)?.metadata;
    const { createdAt = new Date(), revision = 0, tags = [] } = known ?? {};
    const kept = { id, title, tags: [...(newTags ?? tags)], createdAt };
    const metadata = { ...kept, size: Buffer.byteLength(json), revision: revision + 1, updatedAt: new Date() };
    this.#entries.delete(id);
    this.#entries.set(id, { json, ownTitle, metadata });
    return structuredClone(metadata);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { name, run } of storyBackendCases(async () => new MemoryBackend())) {
    await run();
    console.log("ok", name);
  }
}
