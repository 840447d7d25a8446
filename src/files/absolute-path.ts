import { resolve } from "node:path";
import { StorageError } from "../shared/errors.js";

/** The absolute form of a path. Throws `CANNOT_OPEN` for a relative one if the working folder has been deleted. */
export function absolutePath(...parts: [string, ...string[]]): string {
  try {
    return resolve(...parts);
  } catch (error) {
    throw new StorageError(
      "CANNOT_OPEN",
      `Cannot find ${parts.join("/")}: the working folder of this process has been deleted. Use an absolute path, or change to another folder`,
      { cause: error },
    );
  }
}
