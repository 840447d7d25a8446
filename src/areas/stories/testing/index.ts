import { AssertionError } from "node:assert";
import type { StoryBackend } from "../backend.js";
import { defineBackend } from "../backend.js";
import { listCases } from "./list-cases.js";
import { optionalCases } from "./optional-cases.js";
import { storyCases } from "./story-cases.js";

/** One thing that a backend must do. */
export interface StoryBackendCase {
  /** What it must do, as a fact. */
  readonly name: string;
  /** Opens a backend and tries; rejects with an AssertionError of node:assert that says what was expected. */
  run(): Promise<void>;
}

/**
 * What every story backend must do, for any test runner.
 *
 * `open` gives a backend for each case, a new one or one that may be cleared. Optional methods are tried where the
 * backend has them.
 *
 * @example
 * for (const { name, run } of storyBackendCases(async () => new MyBackend())) test(name, run);
 */
export function storyBackendCases(open: () => Promise<StoryBackend>): StoryBackendCase[] {
  return Object.entries({ ...storyCases, ...listCases, ...optionalCases }).map(([name, check]) => ({
    name,
    run: async () => {
      const backend = defineBackend(await open());
      try {
        await backend.initialize();
        if ((await backend.list({})).length > 0) await backend.clear();
        await check(backend);
      } catch (error) {
        // An answer of the wrong shape fails the case as a wrong one does.
        if ((error as { code?: unknown } | undefined)?.code !== "INVALID_ANSWER") throw error;
        throw new AssertionError({ message: (error as Error).message });
      } finally {
        await backend.close();
      }
    },
  }));
}
