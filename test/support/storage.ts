import { copyFileSync } from "node:fs";
import { openStorage, type Storage, type StorageOptions } from "holdfast";
import { test } from "vitest";
import { startServer, type TestServer } from "./server.js";
import { tempDatabase } from "./temp.js";
import { templates } from "./templates.js";

/** The target of the storages of `tempStorage`; the vitest project chooses it (vitest.config.ts). */
export type TestTarget = "file" | "server" | "replica";

export const testTarget = (process.env.HOLDFAST_TEST_TARGET ?? "file") as TestTarget;

/** For tests whose subject is the same on every target, or exists only for files. */
export const fileTest: ReturnType<typeof test.runIf> = test.runIf(testTarget === "file");

/** The share of a long test to run. A call to a server takes as long as 20 calls to a file. */
export const repeated = (times: number) => (testTarget === "file" ? times : Math.ceil(times / 5));

interface StorageHome {
  readonly dir: string;
  /** The name that `health()` gives it: the file, or the URL of a server. */
  readonly path: string;
  /** Opens the same database once more. For a replica, opens its primary. */
  readonly url: string;
}

export interface TempStorage extends AsyncDisposable {
  readonly storage: Storage;
  readonly db: StorageHome;
}

/**
 * A separate storage for one test, on the target of the run: a file, a server, or an embedded replica of one. `await
 * using` closes it and removes everything it has created. If `url` is given, that database is opened instead.
 */
export async function tempStorage(options: StorageOptions = {}): Promise<TempStorage> {
  if (testTarget === "file" || options.url !== undefined) return tempFileStorage(options);
  const server = await startServer({ template: templates()?.server });
  const folder = await tempDatabase();
  const isServer = testTarget === "server";
  const place = isServer ? { url: server.url } : { url: folder.url, syncUrl: server.url };
  const path = isServer ? server.url : folder.path;
  return opened({ ...place, ...options }, { dir: folder.dir, path, url: server.url }, server, folder);
}

/** Like `tempStorage`, but always on a file, for features that only files have. */
export async function tempFileStorage(options: StorageOptions = {}): Promise<TempStorage> {
  const folder = await tempDatabase();
  const template = templates()?.file;
  // The template is not encrypted.
  const isFitting = options.url === undefined && options.encryptionKey === undefined;
  if (template !== undefined && isFitting) copyFileSync(template, folder.path);
  return opened({ url: folder.url, ...options }, folder, folder);
}

async function opened(
  options: StorageOptions,
  db: StorageHome,
  ...resources: readonly (AsyncDisposable | TestServer)[]
): Promise<TempStorage> {
  const storage = await openStorage(options);
  return {
    storage,
    db,
    async [Symbol.asyncDispose]() {
      await storage.close();
      for (const resource of resources) await resource[Symbol.asyncDispose]();
    },
  };
}
