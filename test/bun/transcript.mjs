// The scenarios share this: a separate folder for each, and a transcript of the result of every step, to compare two
// runtimes.
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Runs `play` and prints its notes as one line of JSON. `note(name, work)` records the result of `work`, or the name,
 * code and message of its error.
 */
export async function transcript(play) {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "holdfast-bun-")));
  const lines = [];
  const note = async (name, work) => {
    try {
      const value = await (typeof work === "function" ? work() : work);
      lines.push([name, portable(value, dir)]);
      return value;
    } catch (error) {
      const { code, cause } = error;
      lines.push([name, portable({ throws: error.name, code, message: error.message, cause: cause?.code }, dir)]);
      return undefined;
    }
  };
  try {
    await play({ dir, note });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  process.stdout.write(`${JSON.stringify(lines)}\n`);
}

/** Converts a value to JSON values, without parts that differ from run to run: the folder, new ids and new times. */
function portable(value, dir) {
  switch (typeof value) {
    case "bigint":
      return { bigint: String(value) };
    case "boolean":
      return value;
    case "undefined":
      return { undefined: true };
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0)
        ? value
        : { number: Object.is(value, -0) ? "-0" : String(value) };
    case "string":
      return value
        .replaceAll(dir, "<dir>")
        .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, "<uuid>");
    case "object":
      break;
    default:
      return { [typeof value]: true };
  }
  if (value === null) return null;
  if (value instanceof Date) {
    const isNow = Math.abs(Date.now() - value.getTime()) < 600_000;
    return { date: isNow ? "<now>" : value.toISOString() };
  }
  if (value instanceof Error) return { error: value.name, code: value.code, message: portable(value.message, dir) };
  if (value instanceof ArrayBuffer) return { bytes: [...new Uint8Array(value)] };
  if (ArrayBuffer.isView(value)) return { [value.constructor.name]: [...value].map((one) => portable(one, dir)) };
  if (Array.isArray(value)) return value.map((one) => portable(one, dir));
  if (value instanceof Map || value instanceof Set) return { [value.constructor.name]: portable([...value], dir) };
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, portable(one, dir)]));
}
