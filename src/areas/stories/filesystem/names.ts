import { createHash } from "node:crypto";

/** Leaves room for the longest suffix in the 255 bytes that file systems allow. */
const MAX_NAME_BYTES = 200;
const KEPT_OF_LONG = 100;
/** Names that Windows reserves for devices, with any extension. */
const DEVICE = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])$/;

/**
 * The file name of an id. Distinct ids have distinct names, even if the file system ignores case or normalizes Unicode,
 * and no name leads out of its folder.
 *
 * Lower-case letters, digits, `-` and `_` stay; every other byte of UTF-8 becomes `%` and two hex digits. The name of a
 * longer id is its start, `~`, which no other name contains, and a hash.
 */
export function toFileName(id: string): string {
  let name = "";
  for (const byte of Buffer.from(id, "utf8")) name += SAFE[byte];
  if (DEVICE.test(name)) name = hex(name.charCodeAt(0)) + name.slice(1);
  if (name.length <= MAX_NAME_BYTES) return name;
  return `${name.slice(0, KEPT_OF_LONG)}~${createHash("sha256").update(id).digest("hex")}`;
}

/** The id of a file name; undefined if the name is not the whole id. */
export function fromFileName(name: string): string | undefined {
  try {
    const id = decodeURIComponent(name);
    return toFileName(id) === name ? id : undefined;
  } catch {
    // The name is not one of ours: `toFileName` never produces these bytes.
    return undefined;
  }
}

const SAFE: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return /[a-z0-9_-]/.test(character) ? character : hex(byte);
});

function hex(byte: number): string {
  return `%${byte.toString(16).padStart(2, "0")}`;
}
