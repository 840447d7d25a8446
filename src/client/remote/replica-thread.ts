import { Worker } from "node:worker_threads";
import type { Replicated } from "@libsql/client";
import { requireAsClient } from "../../files/client-packages.js";
import { LOCK_SUFFIX, METADATA_SUFFIXES, STATE_SUFFIX, type Unusable } from "./replica-files.js";

interface ThreadOptions {
  readonly path: string;
  /** For the library: address, token and keys. */
  readonly options: {
    readonly syncUrl: string;
    readonly authToken: string;
    readonly encryptionKey: string | undefined;
    readonly remoteEncryptionKey: string | undefined;
  };
}

/** What the thread says about one fetch; several may come, of which the last settles it. */
export interface ThreadAnswer {
  readonly id: number;
  /** It is done. */
  readonly replicated?: Replicated;
  /** Whether all of the primary was here at some time, told before the network is asked. */
  readonly isComplete?: boolean;
  readonly message?: string;
  readonly unusable?: Unusable;
  /** Another process or client is fetching into the same file. */
  readonly isBusy?: boolean;
}

/**
 * What runs on the thread. As text, since it is the same from source and from the build.
 *
 * Two of the library's databases that fetch into one file corrupt it: each goes on from where it believes the file to
 * be. So a lock is held during each fetch, also against other processes, and a database that another one has overtaken
 * is opened again. The lock is a transaction on an empty database, which the system ends with its process.
 *
 * The metadata goes with one state of the file. A fingerprint, kept where a fetch has ended well, tells an older copy
 * of the file from it: libSQL would add the newer pages to the older ones.
 *
 * The library opens a replica by a network call that blocks. Fetching has a form that does not: with it the thread,
 * and so the process, can end at any time.
 */
const THREAD = `
const { parentPort, workerData } = require("node:worker_threads");
const { createHash } = require("node:crypto");
const { readFileSync, renameSync, statSync, writeFileSync } = require("node:fs");
const { library, asyncLibrary, path, options, suffixes, statePath, lockPath } = workerData;
const Database = require(library);
const { sync } = require(asyncLibrary).prototype;
let lock;
let database;
let opened;
let metadata;
let running = Promise.resolve();

class UnusableError extends Error {
  constructor(unusable) {
    super("unusable");
    this.unusable = unusable;
  }
}

const statOf = (file) => statSync(file, { throwIfNoEntry: false });
const sizeOf = (file) => statOf(file)?.size ?? 0;
const inodeOf = (file) => {
  const stat = statOf(file);
  return stat === undefined ? "none" : stat.dev + ":" + stat.ino;
};
const metadataFile = () => suffixes.map((suffix) => path + suffix).find((file) => statOf(file) !== undefined);

async function takeLock(waitMs) {
  const end = performance.now() + waitMs;
  for (let mayReopen = true; ; ) {
    try {
      lock ??= new Database(lockPath);
      lock.exec("BEGIN EXCLUSIVE");
      return;
    } catch (error) {
      if (error.code !== "SQLITE_BUSY" && mayReopen) {
        // The file of the lock has been deleted.
        lock?.close();
        lock = undefined;
        mayReopen = false;
        continue;
      }
      if (error.code !== "SQLITE_BUSY") throw error;
      if (performance.now() >= end) throw Object.assign(new Error("busy"), { isBusy: true });
      await new Promise((resolve) => setTimeout(resolve, 2 + Math.random() * 20));
    }
  }
}

function readState() {
  try {
    return JSON.parse(readFileSync(statePath, "utf8"));
  } catch {
    // None yet, or it is of no use: the fetch makes another.
    return undefined;
  }
}

function writeState(state) {
  writeFileSync(statePath + ".new", JSON.stringify(state), { mode: 0o600 });
  renameSync(statePath + ".new", statePath);
}

/** How far the metadata says that the file is; undefined where nothing has been fetched. */
function readMetadata() {
  const file = metadataFile();
  if (file === undefined) return undefined;
  const bytes = readFileSync(file);
  // Of sqld's protocol: the log's id, then the frame, which is the highest number before the first one.
  const hasFrames = file.endsWith(suffixes[0]) ? bytes.length >= 24 && bytes.readBigUInt64LE(16) !== 0xffffffffffffffffn : bytes.length > 0;
  return hasFrames ? bytes.toString("base64") : undefined;
}

/** Of what changes with nearly every transaction and is quick to read. */
function readFingerprint() {
  const reader = new Database(path, options.encryptionKey === undefined ? {} : { encryptionKey: options.encryptionKey });
  try {
    const read = (sql) => reader.prepare(sql).raw().all();
    reader.exec("BEGIN");
    const parts = ["page_count", "freelist_count", "schema_version", "user_version"].map((name) => read("PRAGMA " + name));
    const tables = read("SELECT name, rootpage FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    for (const [name, rootpage] of tables) {
      if (!(rootpage > 0)) continue;
      const quoted = '"' + name.replaceAll('"', '""') + '"';
      try {
        parts.push([name, read("SELECT max(rowid) FROM " + quoted)]);
        // The averages and the structure of a full-text index, which change with every text.
        if (name.endsWith("_data")) parts.push(read("SELECT hex(block) FROM " + quoted + " WHERE id IN (1, 10)"));
      } catch {
        // Without rowids, or another table of such a name.
      }
    }
    reader.exec("ROLLBACK");
    return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
  } finally {
    reader.close();
  }
}

function assertNotReplaced() {
  if (opened === undefined) return;
  if (inodeOf(path) !== opened.path || inodeOf(opened.metadataFile) !== opened.metadata) throw new UnusableError("replaced");
}

/** Throws where the files are not those of a replica that can go on. */
function assertUsable(state) {
  assertNotReplaced();
  if (opened !== undefined) return;
  const exists = statOf(path) !== undefined;
  if (metadataFile() === undefined) {
    if (exists) throw new UnusableError("plain");
    return;
  }
  const fetched = readMetadata();
  if (fetched === undefined) return;
  if (!exists || (sizeOf(path) === 0 && sizeOf(path + "-wal") === 0)) throw new UnusableError("databaseMissing");
  if (state?.metadata !== fetched) return;
  let fingerprint;
  try {
    fingerprint = readFingerprint();
  } catch (error) {
    if (error.code === "SQLITE_BUSY") throw error;
    throw new UnusableError({ reason: "SQLite cannot read it (" + error.message + "), or its encryption key is another one" });
  }
  if (fingerprint !== state.fingerprint) throw new UnusableError("mismatch");
}

async function fetchAll({ id, waitMs }) {
  assertNotReplaced();
  await takeLock(waitMs);
  try {
    const state = readState();
    assertUsable(state);
    const present = readMetadata();
    // One that was fetched before there was such a note is complete.
    const isComplete = present !== undefined && (state === undefined || state.isComplete === true);
    parentPort.postMessage({ id, isComplete });
    if (database !== undefined && present !== metadata) {
      database.close();
      database = undefined;
    }
    const isUnchanged = (after) => after !== undefined && after === state?.metadata;
    // Until the fetch has ended well, nothing is known of the pair.
    writeState({ isComplete });
    try {
      database ??= new Database(path, options);
      const { frame_no, frames_synced } = (await sync.call({ db: database.db })) ?? {};
      const after = readMetadata();
      const fingerprint = isUnchanged(after) ? state.fingerprint : after === undefined ? undefined : readFingerprint();
      writeState({ isComplete: true, metadata: after, fingerprint });
      parentPort.postMessage({ id, replicated: { frame_no, frames_synced } });
    } finally {
      metadata = readMetadata();
      const file = metadataFile();
      if (database !== undefined && file !== undefined) {
        opened ??= { path: inodeOf(path), metadata: inodeOf(file), metadataFile: file };
      }
    }
  } finally {
    lock.exec("ROLLBACK");
  }
}

parentPort.on("message", (request) => {
  running = running.then(async () => {
    if (request === null) {
      database?.close();
      lock?.close();
      parentPort.close();
      return;
    }
    try {
      await fetchAll(request);
    } catch (error) {
      const { unusable, isBusy } = error;
      parentPort.postMessage({ id: request.id, message: String(error.message), unusable, isBusy });
    }
  });
});
`;

/** Starts the thread; it ends when it is sent `null` and has done what it was asked before. */
export function startReplicaThread({ path, options }: ThreadOptions): Worker {
  // The library of @libsql/client: two copies of SQLite on one file drop each other's locks.
  const { resolve } = requireAsClient;
  const files = { statePath: path + STATE_SUFFIX, lockPath: path + LOCK_SUFFIX, suffixes: METADATA_SUFFIXES };
  const libraries = { library: resolve("libsql"), asyncLibrary: resolve("libsql/promise") };
  return new Worker(THREAD, { eval: true, workerData: { ...libraries, ...files, path, options } });
}
