import { readLocalUrl } from "../client/file-url.js";
import { absolutePath } from "../files/absolute-path.js";
import { realPath } from "../files/real-path.js";
import { StorageError } from "../shared/errors.js";
import { expectation } from "../shared/expectation.js";
import { urlText } from "../shared/locations.js";

/** The absolute path of a file from a path or a `file:` URL. Throws NOT_SUPPORTED for a database in memory or on a server. */
export function resolveFile(option: string, location: string | URL): string {
  const value = urlText(location);
  if (typeof value !== "string") throw new TypeError(expectation(option, "a path", value));
  if (value === "" || value.includes("\0")) {
    throw new RangeError(expectation(option, "a path that is not empty, without NUL", value));
  }
  if (/^(libsql|https?|wss?):/i.test(value) || value === ":memory:") {
    throw new StorageError(
      "NOT_SUPPORTED",
      `Expected \`${option}\` to be a file, got ${value.replace(/\?.*$/, "")}. Files are copied and restored on their own machine, and a server has its own backups. To copy records anywhere, use export() or \`holdfast export\`, then import() or \`holdfast import\``,
    );
  }
  return /^file:/i.test(value) ? readLocalUrl(value)!.path : absolutePath(value);
}

/** The same for a database: the file itself, where the path is a symbolic link. */
export function resolveDatabase(option: string, location: string | URL): string {
  return realPath(resolveFile(option, location));
}
