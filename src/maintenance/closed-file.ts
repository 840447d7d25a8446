import { statSync } from "node:fs";
import { mayRead, otherThanFile } from "../files/file-kind.js";
import { guardProgress } from "../shared/callbacks.js";
import { environmentKey } from "../shared/environment.js";
import { StorageError } from "../shared/errors.js";
import { expectation } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import { checkLongCall, type LongCallOptions } from "../shared/long-call.js";

/** The options of a call on a database file that is not open as a storage. */
export interface ClosedFileOptions extends LongCallOptions {
  /** The key of an encrypted file. @default the environment's HOLDFAST_ENCRYPTION_KEY */
  readonly encryptionKey?: string | undefined;
}

/** Checks the options of `call`, and fills in the key. */
export function resolveOptions<Options extends ClosedFileOptions>(
  call: string,
  options: Options,
  ...more: readonly string[]
): Options {
  expectKeys(call, options, ["encryptionKey", "onProgress", "signal", ...more]);
  const { encryptionKey = environmentKey(), ...rest } = guardProgress(options);
  checkLongCall(rest);
  if (encryptionKey !== undefined && typeof encryptionKey !== "string") {
    throw new TypeError(expectation("encryptionKey", "a string", encryptionKey));
  }
  return { ...rest, encryptionKey: encryptionKey || undefined } as Options;
}

/** Why the file `path`, called `what` in messages, cannot be a database; undefined if it may be one. */
export function whyUnusable(path: string, what: string, ifEmpty = "Restore a backup"): StorageError | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return new StorageError("NOT_FOUND", `There is no ${what}. Check the path`);
  const kind = otherThanFile(path);
  if (kind !== undefined) return new StorageError("CANNOT_OPEN", `The ${what} is ${kind}. Name the database file`);
  if (!mayRead(path)) {
    return new StorageError("CANNOT_OPEN", `The ${what} cannot be read: this user may not. Check its permissions`);
  }
  if (found.size > 0 || logBytes(path) > 0) return undefined;
  return new StorageError("NOT_A_DATABASE", `The ${what} is empty. ${ifEmpty}`);
}

/** The size of the log next to a database; 0 if there is none. */
export function logBytes(path: string): number {
  return statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}
