import { openStorage } from "holdfast";

/** One storage for the process, however often Next.js loads this module. */
export function storage() {
  globalThis.storage ??= openStorage(process.env.DATABASE_PATH);
  return globalThis.storage;
}
