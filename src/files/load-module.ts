import { StorageError } from "../shared/errors.js";
import { mayLackDescriptors, TOO_MANY_FILES } from "./descriptors.js";

/** Files that Node may have open at once while it loads a module of many files. */
const NEEDED = 64;

/**
 * A function that runs an `import()` once it is needed. It throws while descriptors are short: Node remembers for good
 * that a module could not be loaded.
 */
export function lazyModule<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: T | undefined;
  return async () => {
    if (loaded === undefined && mayLackDescriptors(NEEDED)) {
      throw new StorageError("CANNOT_OPEN", TOO_MANY_FILES, { retryable: true });
    }
    loaded ??= await load();
    return loaded;
  };
}
