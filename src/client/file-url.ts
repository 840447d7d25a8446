import { pathToFileURL } from "node:url";
import { LibsqlError } from "@libsql/client/sqlite3";
import { absolutePath } from "../files/absolute-path.js";
import { realPath } from "../files/real-path.js";

const URL_FORM = /^file:(?:\/\/(?<authority>[^/?#]*))?(?<path>[^?#]*)(?:\?(?<query>[^#]*))?(?:#(?<fragment>.*))?$/su;

/** Where a `file:` URL or `:memory:` points, as the binding wants it. */
export interface LocalTarget {
  readonly path: string;
  readonly isMemory: boolean;
}

/** A new database in memory. */
export const MEMORY: LocalTarget = { path: "file::memory:", isMemory: true };

/**
 * The target of a local URL, or undefined for every other URL; by the rules of @libsql/client.
 *
 * The path is made absolute and its symbolic links are resolved, once: connections opened later find the same file
 * after a change of directory, and checkpoints, sizes and backups mean the file that SQLite works on.
 */
export function parseLocalUrl(url: string): LocalTarget | undefined {
  const target = readLocalUrl(url);
  return target === undefined || target.isMemory ? target : { ...target, path: realPath(target.path) };
}

/** The same with the given path, made absolute: for a file to be created under exactly that name. */
export function readLocalUrl(url: string): LocalTarget | undefined {
  if (url === ":memory:") return MEMORY;
  if (!/^file:/i.test(url)) return undefined;
  const groups = URL_FORM.exec(`file:${url.slice(5)}`)?.groups;
  if (groups === undefined) throw new LibsqlError("The file: URL is not in a valid format", "URL_INVALID");
  const { authority = "", query = "", fragment } = groups;
  if (fragment !== undefined) {
    throw new LibsqlError(
      "URL fragments are not supported; write # in a path as %23, or give the path without file:",
      "URL_INVALID",
    );
  }
  if (authority !== "" && authority.toLowerCase() !== "localhost") {
    throw new LibsqlError(
      `Invalid host in file URL. A "file:" URL with an absolute path should start with one slash ("file:/absolute/path.db") or with three ("file:///absolute/path.db")`,
      "URL_INVALID",
    );
  }
  const path = decode(groups.path ?? "");
  const isMemory = path === ":memory:";
  const parameters = [...new URLSearchParams(query)];
  for (const [key, value] of parameters) assertParameter(key, value, isMemory);
  if (path.includes("\0")) throw new LibsqlError("Expected a path without NUL characters", "URL_INVALID");
  if (isMemory) {
    const cache = parameters.map(([key, value]) => `${key}=${value}`).join("&");
    return { path: `file::memory:${cache === "" ? "" : `?${cache}`}`, isMemory };
  }
  if (path === "") throw new LibsqlError("The file: URL names no file", "URL_INVALID");
  return { path: absolutePath(path), isMemory };
}

/** The URL of a path. */
export function toFileUrl(path: string): string {
  // Not `//`, which @libsql/client would read as a host.
  return `file:${pathToFileURL(absolutePath(path)).pathname}`;
}

/** What to write for parameters of SQLite's URLs, and the like. */
const INSTEAD: ReadonlyMap<string, string> = new Map([
  ["mode", ". To read a file only, use the option `readOnly: true`"],
  ["immutable", '. Use the option `readOnly: "immutable"`'],
]);

function assertParameter(key: string, value: string, isMemory: boolean): void {
  const allowed: Record<string, readonly string[] | undefined> = isMemory
    ? { cache: ["shared", "private"] }
    : { tls: ["0", "1"], authToken: undefined };
  if (!Object.hasOwn(allowed, key)) {
    // The value may be a secret.
    throw new LibsqlError(
      `Unsupported URL query parameter "${key}"${INSTEAD.get(key) ?? ""}`,
      "URL_PARAM_NOT_SUPPORTED",
    );
  }
  const values = allowed[key];
  if (values !== undefined && !values.includes(value)) {
    throw new LibsqlError(`Unknown value for the "${key}" query argument`, "URL_INVALID");
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new LibsqlError(
      `URL component has invalid percent encoding: ${error}`,
      "URL_INVALID",
      undefined,
      undefined,
      error as Error,
    );
  }
}
