import { fileURLToPath } from "node:url";

/** Converts a URL object to text, also one of another realm (jsdom, a vm context). Returns other values unchanged. */
export function urlText(value: unknown): unknown {
  return isUrlObject(value) ? value.href : value;
}

/** The path of a `file:` URL object. Returns other values unchanged. Throws TypeError on other schemes. */
export function pathText(name: string, value: unknown): unknown {
  if (!isUrlObject(value)) return value;
  // Only the scheme, because the rest may contain a token.
  if (value.protocol !== "file:") {
    throw new TypeError(`Expected \`${name}\` to be a path or a file: URL, got a URL of scheme ${value.protocol}`);
  }
  return fileURLToPath(value.href);
}

function isUrlObject(value: unknown): value is URL {
  return value instanceof URL || Object.prototype.toString.call(value) === "[object URL]";
}
