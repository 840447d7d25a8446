import { AssertionError } from "node:assert";
import type { StoryBackend } from "../backend.js";
import { defineBackend } from "../backend.js";
import { listCases } from "./list-cases.js";
import { optionalCases } from "./optional-cases.js";
import { storyCases } from "./story-cases.js";

/** One requirement of a backend. */
export interface StoryBackendCase {
  /** The requirement as a statement. */
  readonly name: string;
  /** Opens a backend and tests it; rejects with an AssertionError of node:assert that says what was expected. */
  run(): Promise<void>;
}

/**
 * The requirements of every story backend, for any test runner.
 *
 * `open` returns a backend for each case: a new one, or one that may be cleared. Optional methods are tested if the
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
        // An answer of the wrong shape fails the case like a wrong answer.
        if ((error as { code?: unknown } | undefined)?.code !== "INVALID_ANSWER") throw error;
        throw new AssertionError({ message: (error as Error).message });
      } finally {
        await backend.close();
      }
    },
  }));
}
