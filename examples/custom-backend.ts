/** A story backend of one's own: twelve methods over a Map. It passes `storyBackendCases` of holdfast/stories/testing. */
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import {
  defineBackend,
  type StoryBackend,
  type StoryData,
  type StoryFilter,
  type StoryMetadata,
  type StoryMetadataInput,
} from "holdfast/stories";
import { storyBackendCases } from "holdfast/stories/testing";

interface Entry {
  readonly json: string;
  readonly metadata: StoryMetadata;
  /** A title that was set beside the story. */
  readonly ownTitle?: string | undefined;
}

export class MemoryBackend implements StoryBackend {
  readonly #entries = new Map<string, Entry>();

  async initialize() {}

  async save(id: string, data: StoryData, { title, tags }: StoryMetadataInput = {}) {
    const json = JSON.stringify(data);
    const known = this.#entries.get(id);
    const inner = data.metadata as { title?: string } | undefined;
    const brought = title ?? inner?.title ?? (data.title as string | undefined);
    const ownTitle = title ?? (brought === undefined ? known?.ownTitle : undefined);
    const updatedAt = new Date();
    const createdAt = known?.metadata.createdAt ?? updatedAt;
    const revision = (known?.metadata.revision ?? 0) + 1;
    const kept = { title: brought ?? ownTitle ?? "Untitled", tags: [...(tags ?? known?.metadata.tags ?? [])] };
    return this.#put({
      json,
      ownTitle,
      metadata: { id, ...kept, size: Buffer.byteLength(json), revision, createdAt, updatedAt },
    });
  }

  async load(id: string) {
    const entry = this.#entries.get(id);
    return entry && (JSON.parse(entry.json) as StoryData);
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
    if (entry === undefined) return undefined;
    const { metadata } = entry;
    const kept = { title: title ?? metadata.title, tags: [...(tags ?? metadata.tags)] };
    const next = { ...metadata, ...kept, revision: metadata.revision + 1, updatedAt: new Date() };
    return this.#put({ json: entry.json, ownTitle: title ?? entry.ownTitle, metadata: next });
  }

  async export(id: string) {
    return this.#entries.get(id)?.json;
  }

  async importData(story: string | StoryData) {
    const data = (typeof story === "string" ? JSON.parse(story) : story) as StoryData;
    if (typeof data !== "object" || data === null || Array.isArray(data)) throw new TypeError("Expected a story");
    const { id = randomUUID() } = data as { id?: string };
    await this.save(id, data);
    return id;
  }

  async getStorageUsage() {
    return [...this.#entries.values()].reduce((bytes, { metadata }) => bytes + metadata.size, 0);
  }

  async clear() {
    this.#entries.clear();
  }

  /** The last of the Map is the newest. */
  #put(entry: Entry): StoryMetadata {
    this.#entries.delete(entry.metadata.id);
    this.#entries.set(entry.metadata.id, entry);
    return structuredClone(entry.metadata);
  }
}

// Run by itself, it is put to the test.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { name, run } of storyBackendCases(async () => defineBackend(new MemoryBackend()))) {
    await run();
    console.log("ok", name);
  }
}
