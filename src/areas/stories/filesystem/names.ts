import { createHash } from "node:crypto";

/** Leaves room for the longest suffix in the 255 bytes that file systems allow. */
const MAX_NAME_BYTES = 200;
const KEPT_OF_LONG = 100;
/** Names that Windows keeps for devices, whatever follows them after a dot. */
const DEVICE = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])$/;

/**
 * The file name of an id: distinct for distinct ids, also where the file system ignores case or normalises Unicode,
 * and never a way out of its folder.
 *
 * Lower-case letters, digits, `-` and `_` stay; every other byte of UTF-8 becomes `%` and two hex digits. Of an id too
 * long for a name, the start and a hash: `~` occurs in no other name.
 */
export function toFileName(id: string): string {
  let name = "";
  for (const byte of Buffer.from(id, "utf8")) name += SAFE[byte];
  if (DEVICE.test(name)) name = `${escapeFirst(name)}${name.slice(1)}`;
  if (name.length <= MAX_NAME_BYTES) return name;
  return `${name.slice(0, KEPT_OF_LONG)}~${createHash("sha256").update(id).digest("hex")}`;
}

/** The id of a name; undefined where it has none, as that of an id too long. */
export function fromFileName(name: string): string | undefined {
  try {
    const id = decodeURIComponent(name);
    return toFileName(id) === name ? id : undefined;
  } catch {
    // Not one of ours: no encoder makes such bytes.
    return undefined;
  }
}

const SAFE: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return /[a-z0-9_-]/.test(character) ? character : hex(byte);
});

function escapeFirst(name: string): string {
  return hex(name.charCodeAt(0));
}

function hex(byte: number): string {
  return `%${byte.toString(16).padStart(2, "0")}`;
}
