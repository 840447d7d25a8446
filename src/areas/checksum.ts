import crypto from "node:crypto";
import { type AnyColumn, type SQL, sql } from "drizzle-orm";

/** In hex. The form that makes no object takes half the time; Node has it from 20.12 on. */
const sha256: (data: string | Uint8Array) => string =
  typeof crypto.hash === "function"
    ? (data) => crypto.hash("sha256", data, "hex")
    : (data) => crypto.createHash("sha256").update(data).digest("hex");

/** 128 bits of SHA-256, in hex: enough to tell damage and equal content, short enough for every row. */
function digest(data: string | Uint8Array): string {
  return sha256(data).slice(0, 32);
}

const SHORT_CHARS = 16;

/**
 * The part of a hash that rows with an index keep: 64 bits tell damage as well, in half the bytes. Rows of earlier
 * versions keep the whole hash.
 */
export function shortened(hash: string): string {
  return hash.slice(0, SHORT_CHARS);
}

/** The same in SQL. */
export function shortenedColumn(hash: AnyColumn): SQL {
  return sql`substr(${hash}, 1, ${sql.raw(String(SHORT_CHARS))})`;
}

/** The hash by which equal content is found. */
export function hashText(text: string): string {
  return digest(text);
}

/** The checksum of a record: its values in a fixed order, so that none can pass for its neighbour. */
export function checksumOf(values: readonly (string | number | null)[]): string {
  return digest(JSON.stringify(values));
}

/** The checksum of a vector and its owner. */
export function checksumOfVector(owner: readonly (string | number)[], vector: Float32Array): string {
  const bytes = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
  return digest(Buffer.concat([Buffer.from(JSON.stringify(owner)), bytes]));
}
