import { NotSupportedError } from "./memvid-error.js";

// The names of @memvid/sdk for its cloud, language models, document parsers, models for pictures, entities and embeddings,
// and encrypted capsules. They exist so that code for the SDK loads, and fail with `NOT_SUPPORTED` when they are called.
// `sdk.ts` has those of the module.

const METHODS = [
  "putFile",
  "putFiles",
  "putPdfTables",
  "listTables",
  "getTable",
  "extractAsset",
  "extractAssetByUri",
  "sessionReplay",
  "sessionDelete",
  "enrich",
  "applyTicket",
  "applySignedTicket",
  "currentTicket",
  "syncTickets",
  "unbindMemory",
] as const;

type AsyncFunction = (...args: unknown[]) => Promise<never>;

/** The methods of a memory that are not supported. */
export const UnsupportedCalls = class {} as new () => { readonly [Name in (typeof METHODS)[number]]: AsyncFunction };

for (const name of METHODS) {
  Object.defineProperty(UnsupportedCalls.prototype, name, {
    value: rejecting(name),
    writable: true,
    configurable: true,
  });
}

/** A function whose promise rejects. */
export function rejecting(name: string): AsyncFunction {
  return (..._args) => Promise.reject(new NotSupportedError(`${name}()`));
}

/** A function that throws. */
export function throwing(name: string): (...args: unknown[]) => never {
  return (..._args) => {
    throw new NotSupportedError(`${name}()`);
  };
}

/** A class whose constructor throws, whatever its arguments are. */
export function unsupportedClass<Instance = Record<string, unknown>>(
  name: string,
): new (
  ...args: unknown[]
) => Instance {
  const Class = class {
    constructor() {
      throw new NotSupportedError(`new ${name}()`);
    }
  };
  Object.defineProperty(Class, "name", { value: name });
  return Class as unknown as new (
    ...args: unknown[]
  ) => Instance;
}
