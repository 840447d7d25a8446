import { randomFillSync } from "node:crypto";

const UUID_BYTES = 16;
/** Random bytes are fetched for many ids at once: a fetch costs more than all the rest of an id. */
const pool = Buffer.allocUnsafeSlow(UUID_BYTES * 256);
let used = pool.length;
let lastMillis = 0;
let sequence = 0;

/** A new UUIDv7; later ones of this process sort after it, whatever the clock does. */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const random = pool.subarray(used, used + UUID_BYTES);
  used += UUID_BYTES;
  const now = Date.now();
  if (now > lastMillis) {
    lastMillis = now;
    // 31 random bits: ids of other processes in the same millisecond differ by them too.
    sequence = ((random[6]! & 0x7f) << 24) | (random[7]! << 16) | (random[8]! << 8) | random[9]!;
  } else {
    sequence = (sequence + 1) | 0;
    if (sequence === 0) lastMillis++;
  }
  return format(random, lastMillis, sequence);
}

/** Writes the time, the version, the sequence and the variant of RFC 9562 over the first 82 bits of `bytes`. */
function format(bytes: Buffer, millis: number, seq: number): string {
  bytes.writeUIntBE(millis, 0, 6);
  bytes[6] = 0x70 | ((seq >>> 28) & 0x0f);
  bytes[7] = seq >>> 20;
  bytes[8] = 0x80 | ((seq >>> 14) & 0x3f);
  bytes[9] = seq >>> 6;
  bytes[10] = (seq << 2) | (bytes[10]! & 3);
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
