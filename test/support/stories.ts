import { join } from "node:path";
import { type OpenStoriesOptions, openStories, type StoryService } from "holdfast/stories";
import { MemoryBackend } from "../../examples/custom-backend.js";
import { tempDatabase } from "./temp.js";

export const SECRET = "5a".repeat(32);

export interface TempStories extends AsyncDisposable {
  readonly service: StoryService;
  readonly dir: string;
  readonly path: string;
  /** Another service on the same folder or database, like that of another process. */
  openAnother(options?: OpenStoriesOptions): Promise<StoryService>;
}

/** A service in a separate folder. `await using` closes it and removes the folder. */
export async function tempStories(
  backend: "libsql" | "filesystem" | "custom",
  options: OpenStoriesOptions = {},
): Promise<TempStories> {
  const db = await tempDatabase();
  const path = join(db.dir, "stories");
  const others: StoryService[] = [];
  const own = backend === "custom" ? new MemoryBackend() : backend;
  const open = (more: OpenStoriesOptions = {}) => openStories({ backend: own, path, ...options, ...more });
  const service = await open();
  return {
    service,
    dir: db.dir,
    path,
    async openAnother(more) {
      const other = await open(more);
      others.push(other);
      return other;
    },
    async [Symbol.asyncDispose]() {
      for (const one of [...others, service]) await one.close();
      await db[Symbol.asyncDispose]();
    },
  };
}

/** Waits until pending events are delivered. */
export function delivered(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
