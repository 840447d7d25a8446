import { randomFillSync } from "node:crypto";
import { v7 as uuidv7 } from "uuid";

const UUID_BYTES = 16;
/** Random bytes are fetched for many ids at once: a fetch costs more than all the rest of an id. */
const pool = new Uint8Array(UUID_BYTES * 256);
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
  return uuidv7({ msecs: lastMillis, seq: sequence, random });
}
