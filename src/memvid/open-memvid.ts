import { existsSync } from "node:fs";
import { absolutePath } from "../files/absolute-path.js";
import { readStartInOtherProcess } from "../files/other-process.js";
import { StorageError } from "../shared/errors.js";
import { describeValue, expectation, expectDuration, expectOneOf } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import { pathText } from "../shared/locations.js";
import { openStorage } from "../storage/storage.js";
import { Memvid } from "./memvid.js";
import { asMemvidErrors, CorruptFileError, FileNotFoundError, NotSupportedError } from "./memvid-error.js";
import type { DoctorOptions, DoctorResult, UseOptions, VerifyOptions, VerifyResult } from "./memvid-types.js";

const USE_KEYS = [
  "mode",
  "readOnly",
  "lockTimeoutMs",
  "enableLex",
  "enableVec",
  "force",
  "forceWritable",
  "memvidApiKey",
  "memoryId",
];

/** The key of another service, which @memvid/sdk accepts; not used. */
export type ApiKey = string | Record<string, string>;

/**
 * Opens a memory, and creates its file if it is missing. **An existing file is opened and never wiped**; @memvid/sdk would
 * empty it. Remove the file first to start again. `kind` is "basic"; others are `NOT_SUPPORTED`.
 */
export function create(
  path: string | URL,
  kind?: string,
  apiKeyOrOptions?: ApiKey | UseOptions,
  options?: UseOptions,
): Promise<Memvid> {
  return openMemvid(path, kind, () => ({ ...toUseOptions(apiKeyOrOptions, options), mode: "create" }));
}

/** Opens an existing memory; `MV013` if the file is missing. */
export function open(
  path: string | URL,
  kind?: string,
  apiKeyOrOptions?: ApiKey | UseOptions,
  options?: UseOptions,
): Promise<Memvid> {
  return openMemvid(path, kind, () => ({ ...toUseOptions(apiKeyOrOptions, options), mode: "open" }));
}

/** Opens a memory. `options.mode` "open" requires the file; "auto" and "create" create it if it is missing. */
export const use = Object.assign(
  (kind: string, path: string | URL, apiKeyOrOptions?: ApiKey | UseOptions, options?: UseOptions): Promise<Memvid> =>
    openMemvid(path, kind, () => toUseOptions(apiKeyOrOptions, options)),
  {
    verify: verifyMemvid,
    doctor: doctorMemvid,
  },
);

/** `verify` of the memory at `path`. */
export function verifyMemvid(path: string | URL, options?: VerifyOptions): Promise<VerifyResult> {
  return onFile(path, (memvid) => memvid.verify(options), { readOnly: true });
}

/** `doctor` of the memory at `path`. */
export function doctorMemvid(path: string | URL, options?: DoctorOptions): Promise<DoctorResult> {
  return onFile(path, (memvid) => memvid.doctor(options));
}

async function onFile<T>(
  path: string | URL,
  work: (memvid: Memvid) => Promise<T>,
  options: UseOptions = {},
): Promise<T> {
  const memvid = await use("basic", path, options);
  try {
    return await work(memvid);
  } finally {
    await memvid.close();
  }
}

function openMemvid(location: string | URL, kind: string | undefined, toOptions: () => UseOptions): Promise<Memvid> {
  return asMemvidErrors(async () => {
    const options = toOptions();
    const path = pathText("path", location);
    if (typeof path !== "string" || path === "") throw new TypeError(expectation("path", "the path of a file", path));
    expectKeys("use", options, USE_KEYS);
    const { mode = "open", readOnly = false, lockTimeoutMs = 5_000, memoryId } = options;
    expectOneOf("mode", mode, ["open", "create", "auto"]);
    expectDuration("lockTimeoutMs", lockTimeoutMs);
    if (kind !== undefined && kind !== "basic") throw new NotSupportedError(`The adapter ${describeValue(kind)}`);
    if (memoryId !== undefined) throw new NotSupportedError("A cloud memory (memoryId)");
    // The program may have changed its folder when a sealed memory is opened again.
    const file = absolutePath(path);
    if ((mode === "open" || readOnly) && !existsSync(file)) {
      throw new FileNotFoundError(`There is no file ${path}`, { path });
    }
    const maxContentChars = Number.MAX_SAFE_INTEGER;
    const memvid = new Memvid(file, readOnly, () =>
      openStorage({ url: file, readOnly, busyTimeoutMs: lockTimeoutMs, maxContentChars }).catch((error) =>
        explain(error, file),
      ),
    );
    return memvid.opened();
  });
}

/** If the file is not a database but a file of @memvid/sdk, throws an error that says so (MV012). */
async function explain(error: unknown, file: string): Promise<never> {
  // Only after SQLite has refused it: it may still be an encrypted database that is open with its key.
  const isDatabase = !(error instanceof StorageError && error.code === "NOT_A_DATABASE");
  if (isDatabase || (await readStartInOtherProcess(file, 4)) !== "MV2\0") throw error;
  throw new CorruptFileError(
    `${file} is a file of @memvid/sdk, which only @memvid/sdk can read. Put its texts into a new memory`,
  );
}

/** The third argument is a key or the options; then the options come fourth. */
function toUseOptions(apiKeyOrOptions: ApiKey | UseOptions | undefined, options: UseOptions | undefined): UseOptions {
  if (options !== undefined) return options;
  const isOptions =
    typeof apiKeyOrOptions === "object" &&
    apiKeyOrOptions !== null &&
    // Keys of services are strings. An unknown name with another value is a mistyped option.
    Object.entries(apiKeyOrOptions).some(([key, value]) => USE_KEYS.includes(key) || typeof value !== "string");
  return isOptions ? (apiKeyOrOptions as UseOptions) : {};
}
