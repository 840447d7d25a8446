// Controls fault-shim.c from within the process that has loaded it.
import { openSync, readSync, writeSync } from "node:fs";
import { constants } from "node:os";

const CALLS = [
  "write",
  "pwrite",
  "fsync",
  "fdatasync",
  "ftruncate",
  "rename",
  "link",
  "open",
  "unlink",
  "mkdir",
  "rmdir",
];
const MODES = { ...constants.errno, SHORT: 1001, TORN: 1002, FULL_DISK: 1003 };
const PATTERN_AT = 32;
const PATH_AT = PATTERN_AT + 256;

let control;

/**
 * Makes the `nth` call of these kinds fail, and as many after it as `times` says: with an errno by name, `SHORT` (half
 * is written, and said so), `TORN` (half is written, and EIO) or `FULL_DISK` (no file grows: then nothing else counts). `pattern` is a part of the path, or with a `$` its end.
 */
export function arm({ calls, mode, nth = 1, times = 1, pattern = "" }) {
  control ??= openSync(process.env.HOLDFAST_SHIM_CONTROL, "r+");
  const buffer = Buffer.alloc(PATH_AT);
  const kinds = calls.reduce((bits, call) => bits | (1 << CALLS.indexOf(call)), 0);
  for (const [i, value] of [0, kinds, nth, times, MODES[mode], 0, 0, 0].entries()) buffer.writeInt32LE(value, i * 4);
  buffer.write(pattern, PATTERN_AT);
  writeSync(control, buffer, 0, buffer.length, 0);
  // Last: what is read half-written would fail another call.
  buffer.writeInt32LE(1, 0);
  writeSync(control, buffer, 0, 4, 0);
}

/** Ends the faults. Returns how many calls were counted and how many failed, and the path of the last failure. */
export function disarm() {
  const buffer = Buffer.alloc(PATH_AT + 512);
  writeSync(control, buffer, 0, 4, 0);
  readSync(control, buffer, 0, buffer.length, 0);
  const path = buffer.subarray(PATH_AT, buffer.indexOf(0, PATH_AT)).toString();
  return { seen: buffer.readInt32LE(20), fired: buffer.readInt32LE(24), call: CALLS[buffer.readInt32LE(28)], path };
}
