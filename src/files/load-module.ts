import { StorageError } from "../shared/errors.js";
import { mayLackDescriptors, TOO_MANY_FILES } from "./descriptors.js";

/** How many files Node may open at once to load a module of many files. */
const NEEDED = 64;
/** The same for a module that imports zod, which Node loads from more than 100 files. */
export const NEEDED_FOR_ZOD = 160;

/**
 * Makes a function that loads a module at its first call. It throws while descriptors are short, because Node never tries
 * again to load a module that failed once.
 */
export function lazyModule<T>(load: () => Promise<T>, needed = NEEDED): () => Promise<T> {
  let loaded: T | undefined;
  return async () => {
    if (loaded === undefined && mayLackDescriptors(needed)) {
      throw new StorageError("CANNOT_OPEN", TOO_MANY_FILES, { retryable: true });
    }
    loaded ??= await load();
    return loaded;
  };
}
