import { fileURLToPath } from "node:url";

/** A URL object as text, also one of another realm (jsdom, a vm context); everything else as it is. */
export function urlText(value: unknown): unknown {
  return isUrlObject(value) ? value.href : value;
}

/** The path that a `file:` URL object names; everything else as it is. Throws TypeError on other schemes. */
export function pathText(name: string, value: unknown): unknown {
  if (!isUrlObject(value)) return value;
  // Only the scheme: the rest may hold a token.
  if (value.protocol !== "file:") {
    throw new TypeError(`Expected \`${name}\` to be a path or a file: URL, got a URL of scheme ${value.protocol}`);
  }
  return fileURLToPath(value.href);
}

function isUrlObject(value: unknown): value is URL {
  return value instanceof URL || Object.prototype.toString.call(value) === "[object URL]";
}
