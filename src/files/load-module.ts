import { StorageError } from "../shared/errors.js";
import { mayLackDescriptors, TOO_MANY_FILES } from "./descriptors.js";

/** How many files Node may open at once to load a module of many files: zod has about 110. */
const NEEDED = 160;

/**
 * Makes a function that loads a module at its first call. It throws while descriptors are short, because Node never tries
 * again to load a module that failed once.
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
