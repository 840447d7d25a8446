import { join } from "node:path";
import { expectProject } from "../areas/arguments.js";
import { type InvalidText, toRepair } from "../areas/repair.js";
import type { StoryBackend } from "../areas/stories/backend.js";
import { FilesystemBackend } from "../areas/stories/filesystem/backend.js";
import { resolveStoryOptions, type StoryOptions } from "../areas/stories/options.js";
import { SecretBox } from "../areas/stories/secret.js";
import { StoryService } from "../areas/stories/service.js";
import { environment } from "../shared/environment.js";
import { StorageError } from "../shared/errors.js";
import { expectation, expectOneOf } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import { pathText, urlText } from "../shared/locations.js";
import { refuseSecond } from "../shared/surplus-arguments.js";
import { dataFolder, type StorageOptions } from "./options.js";
import { openStorage } from "./storage.js";

/** Which backend, and where. */
export interface OpenStoriesOptions extends StoryOptions {
  /**
   * The name of a built-in backend, or a backend of your own. `"sqlite"` is another name for `"libsql"`. @default
   * "libsql"
   */
  readonly backend?: "libsql" | "sqlite" | "filesystem" | StoryBackend | undefined;
  /**
   * The database (a path, `:memory:` or a URL) or the folder.
   * @default the database that `openStorage` finds; for files, `stories` in the data folder
   */
  readonly path?: string | URL | undefined;
  /** Opens a database read-only, as `openStorage` does. Not supported for folders. @default false */
  readonly readOnly?: StorageOptions["readOnly"];
  /** The project in a database. @default "default" */
  readonly project?: string | undefined;
  /** The key that encrypts secrets (tokens): 32 bytes or 64 hex digits. @default HOLDFAST_SECRET */
  readonly secret?: Uint8Array | string | undefined;
  /**
   * How titles and tags with lone surrogates or NUL are treated: `"refuse"` rejects the call, `"replace"` stores U+FFFD
   * in their place. `"replace"` also applies to the content of a story, which otherwise keeps such text. @default
   * "refuse"
   */
  readonly invalidText?: InvalidText | undefined;
  /** The current time in ms, for tests. @default Date.now */
  readonly now?: (() => number) | undefined;
}

const STORY_KEYS = ["cacheSize", "cacheBytes", "events", "historyLimit"];
const KEYS = ["backend", "path", "readOnly", "project", "secret", "invalidText", "now", ...STORY_KEYS];

/**
 * Opens a service over a backend. The service's `close` also closes the backend. A backend of your own is initialized
 * here.
 *
 * Rejects with TypeError on an unknown backend name, or on a backend that lacks a required method; with the errors of
 * `openStorage` for a database; and with `CANNOT_OPEN` if the folder cannot be used.
 */
export async function openStories(options: OpenStoriesOptions = {}): Promise<StoryService> {
  // biome-ignore lint/complexity/noArguments: a rest parameter would allow it in the types.
  refuseSecond("openStories", arguments, ": pass options in its place, with the path or URL as `path`");
  expectKeys("openStories", options, KEYS);
  const { backend = "libsql", project = "default", secret = environment().HOLDFAST_SECRET || undefined } = options;
  const { readOnly = false, invalidText = "refuse", now = Date.now } = options;
  const { cacheSize, cacheBytes, events, historyLimit } = options;
  const stories = resolveStoryOptions({ cacheSize, cacheBytes, events, historyLimit });
  const { historyLimit: limit, ...service } = stories;
  expectProject(project);
  expectOneOf("invalidText", invalidText, ["refuse", "replace"]);
  const repair = toRepair(invalidText);
  const path = backend === "filesystem" ? pathText("path", options.path) : urlText(options.path);
  if (path !== undefined && typeof path !== "string") throw new TypeError(expectation("path", "a path", path));
  if (readOnly !== false && backend !== "libsql" && backend !== "sqlite") {
    const what = backend === "filesystem" ? "A folder of stories" : "A backend of your own";
    throw new StorageError(
      "NOT_SUPPORTED",
      `${what} cannot be opened with \`readOnly\`. Open it without that option, or copy its stories into a database with copyStories and open that`,
    );
  }
  const initialized = (own: StoryBackend) => initialize(new StoryService(own, service, { repair }));
  if (typeof backend === "object" && backend !== null) return initialized(backend);
  expectOneOf("backend", backend, ["libsql", "sqlite", "filesystem"]);
  if (backend === "filesystem") {
    if (path === "") throw new TypeError(expectation("path", "a folder", path));
    const root = path ?? join(dataFolder(), "stories");
    const box = new SecretBox(secret);
    return initialized(new FilesystemBackend({ root, project, box, historyLimit: limit, now, repair }));
  }
  const storage = await openStorage({ url: path, readOnly, secret, invalidText, now, stories });
  const { backend: own } = storage.project(project).stories;
  return new StoryService(own, service, { repair, close: () => storage.close() });
}

async function initialize(service: StoryService): Promise<StoryService> {
  try {
    await service.initialize();
    return service;
  } catch (error) {
    // Throws the error that prevented the opening.
    await service.close().catch(() => undefined);
    throw error;
  }
}
