import { deflateRawSync, inflateRawSync } from "node:zlib";
import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import { StorageError } from "../../shared/errors.js";

/** Shorter contents hardly shrink. */
const MIN_CHARS = 200;
/** A content that does not get smaller than this share of its text stays text. */
const MAX_SHARE = 0.9;
/** The first byte of a compressed content: the form of what follows. */
const DEFLATED = 1;
/** That byte, then the bytes of the text in decimal digits, which SQL can read. */
const HEADER_BYTES = 11;

/**
 * A content as a compressing storage keeps it: text where compression gains little, else a BLOB of a header and the
 * deflated UTF-8 text. Every storage reads both.
 */
export function packContent(content: string): string | Uint8Array {
  if (content.length < MIN_CHARS) return content;
  const text = Buffer.from(content);
  const packed = deflateRawSync(text);
  if (packed.length + HEADER_BYTES > text.length * MAX_SHARE) return content;
  const header = String.fromCharCode(DEFLATED) + String(text.length).padStart(HEADER_BYTES - 1, "0");
  return new Uint8Array(Buffer.concat([Buffer.from(header, "latin1"), packed]));
}

/** The text of a stored content; throws CORRUPT on a BLOB of another form. */
export function readContent(value: unknown): string {
  if (typeof value === "string") return value;
  try {
    const bytes = ArrayBuffer.isView(value)
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : Buffer.from(value as ArrayBuffer);
    const length = Number(bytes.toString("latin1", 1, HEADER_BYTES));
    if (bytes[0] !== DEFLATED || !Number.isInteger(length)) throw new TypeError("The header is not known");
    const text = inflateRawSync(bytes.subarray(HEADER_BYTES), { maxOutputLength: Math.max(length, 1) });
    if (text.length !== length) throw new RangeError(`Expected ${length} bytes of text, got ${text.length}`);
    return text.toString();
  } catch (cause) {
    throw new StorageError(
      "CORRUPT",
      "The compressed content of a memory cannot be read. Find it with check({ deep: true }), and restore a backup",
      { cause },
    );
  }
}

/** The UTF-8 bytes of the text of a content, whichever way it is stored. */
export function contentBytes(content: SQLWrapper): SQL {
  const header = sql`substr(${content}, 2, ${sql.raw(String(HEADER_BYTES - 1))})`;
  return sql`case typeof(${content}) when 'blob' then cast(cast(${header} as text) as integer) else octet_length(${content}) end`;
}
