import { pathToFileURL } from "node:url";
import { parseLocalUrl } from "../client/file-url.js";
import { readWithoutTrace } from "../client/local/read-without-trace.js";
import { findMetadata, replicaAdvice } from "../client/remote/replica-files.js";
import { absolutePath } from "../files/absolute-path.js";
import type { ChildOptions } from "../files/start-child.js";
import type { JournalOptions } from "../migrate/index.js";
import { loadJournal } from "../migrate/journal.js";
import { resolveJournalOptions } from "../migrate/options.js";
import { OWN_MIGRATIONS } from "../schema/own-migrations.js";
import { StorageError } from "../shared/errors.js";
import { expectText, toBoolean } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import { urlText } from "../shared/locations.js";
import { checkLongCall, type LongCallOptions } from "../shared/long-call.js";
import type { CheckMessage, CheckOrder } from "./check-child.js";
import { type ClosedFileOptions, logBytes, resolveOptions, whyUnusable } from "./closed-file.js";
import type { MaintenanceContext } from "./context.js";
import { type CheckResult, type Finding, type FindingCode, toResult } from "./findings.js";
import { type CheckedSet, inspect, PHASES, type Phase } from "./inspect.js";
import { runReadingChild } from "./reading-child.js";

/** The options of `check`. */
export interface CheckOptions extends LongCallOptions {
  /** Also compare indexes with their tables, and every record with its checksum. @default false */
  readonly deep?: boolean | undefined;
  /**
   * Migrations of your own to check. Holdfast's are then checked only if the database has them. Pending ones are tried
   * on the schema; if nothing is wrong with them, they are an `info`. @default those of the storage
   */
  readonly migrations?: JournalOptions | undefined;
}

/** The parts of a storage that a check needs. */
type CheckTarget = Pick<MaintenanceContext, "migrations" | "encryptionKey">;

const MAX_PATH_CHARS = 4096;
/** A log above this size was not moved into the file for a long time: a reader needs it, or there was no checkpoint. */
const LARGE_WAL_BYTES = 64 * 1024 * 1024;

/** Checks an open storage; see `Storage.check`. */
export async function checkStorage(context: MaintenanceContext, options: CheckOptions): Promise<CheckResult> {
  const { path } = context;
  if (path !== undefined && path !== ":memory:") return checkPath(path, context, options);
  const { deep, migrations, onProgress, signal } = resolve(options);
  const findings: Finding[] = [];
  const found = inspect({
    deep,
    migrations: toChecked(context.migrations, migrations),
    // A server does not allow these checks of its file.
    phases:
      path === undefined ? PHASES.filter((phase) => !["integrity", "full text", "space"].includes(phase)) : PHASES,
    async snapshot(work) {
      signal?.throwIfAborted();
      const transaction = await context.client.transaction("deferred");
      try {
        return await work({ execute: (statement) => transaction.execute(statement) });
      } finally {
        transaction.close();
      }
    },
    onPhase: (phase, done, total) => onProgress?.({ phase, done, total }),
  });
  for await (const finding of found) findings.push(finding);
  signal?.throwIfAborted();
  return toResult(findings);
}

/** The options of `checkFile`. */
export interface CheckFileOptions extends CheckOptions, ClosedFileOptions {}

/**
 * Checks a database file in a separate process, without writing to it and without opening it as a storage, which a
 * damaged file may refuse. `file` is a path or a `file:` URL.
 *
 * Rejects with NOT_FOUND if there is no file. Anything else that is wrong with the file is a finding.
 */
export async function checkFile(file: string | URL, options: CheckFileOptions = {}): Promise<CheckResult> {
  const { encryptionKey, ...rest } = resolveOptions("checkFile", options, "deep", "migrations");
  const location = urlText(file);
  expectText("file", location, MAX_PATH_CHARS);
  const path = parseLocalUrl(/^file:/i.test(location) ? location : pathToFileURL(absolutePath(location)).href)!.path;
  return checkPath(path, { migrations: [OWN_MIGRATIONS], encryptionKey }, rest);
}

async function checkPath(path: string, target: CheckTarget, options: CheckOptions): Promise<CheckResult> {
  const { deep, onProgress, signal, ...more } = resolve(options);
  const unreadable = whyUnreadable(path);
  if (unreadable !== undefined) {
    return toResult([findMetadata(path).length === 0 ? unreadable : forReplica(path, unreadable)]);
  }
  const { encryptionKey } = target;
  const migrations = toChecked(target.migrations, more.migrations);
  const look = () =>
    readWithoutTrace(path, (readOnly) =>
      findAll({ path, readOnly, deep, migrations }, { encryptionKey, signal }, onProgress),
    );
  let findings = await look();
  // The last user of the file may close it, and remove the -shm, after the way to read it was chosen.
  if (findings.some(({ code }) => code === "CANNOT_OPEN")) findings = await look();
  const all = [...findings, ...describeLog(path)];
  return toResult(findMetadata(path).length === 0 ? all : all.map((finding) => forReplica(path, finding)));
}

/** Has a process read the file. If the bytes of the file end it, another process continues with the next phase. */
async function findAll(
  order: Omit<CheckOrder, "phases">,
  options: ChildOptions,
  onProgress: CheckOptions["onProgress"],
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (let phases: readonly Phase[] = PHASES; phases.length > 0; ) {
    const { hasEnded, last, reason } = await runCheck({ ...order, phases }, options, (message) => {
      if ("finding" in message) findings.push(message.finding);
      if ("phase" in message) onProgress?.(message);
    });
    if (hasEnded) break;
    const what = last ?? "whether the file can be read";
    const message = `The process that read the file ended while checking ${what} (${reason}). The file is damaged: copy it with its -wal, then restore a backup, or save what can be read with \`holdfast salvage\``;
    findings.push({ code: "CORRUPT", severity: "error", message });
    // The later phases may succeed all the same.
    phases = last === undefined ? [] : PHASES.slice(PHASES.indexOf(last) + 1);
  }
  return findings;
}

/** A replica is fetched again, not restored. */
function forReplica(path: string, finding: Finding): Finding {
  const message = finding.message.replace(/[.:] (?:copy it with its -wal, then )?restore a backup.*$/is, "");
  return message === finding.message ? finding : { ...finding, message: `${message}. ${replicaAdvice(path)}` };
}

function resolve(options: CheckOptions): CheckOptions & { readonly deep: boolean } {
  expectKeys("check", options, ["deep", "migrations", "onProgress", "signal"]);
  const { migrations } = options;
  const deep = toBoolean("deep", options.deep);
  checkLongCall(options);
  if (migrations === undefined) return { ...options, deep };
  const { folder, table, ...resolved } = resolveJournalOptions("migrations", migrations);
  // A missing folder is no finding about the database.
  loadJournal({ folder, ...resolved });
  const set = resolved.migrations === undefined ? { folder, table } : { migrations: resolved.migrations, table };
  return { ...options, deep, migrations: set };
}

/** The migrations of a storage, or the given ones. */
function toChecked(stored: readonly JournalOptions[], given: JournalOptions | undefined): CheckedSet[] {
  if (given === undefined) return stored.map((set) => ({ set, isOptional: false, mayBePending: false }));
  return [
    { set: OWN_MIGRATIONS, isOptional: true, mayBePending: false },
    { set: given, isOptional: false, mayBePending: true },
  ];
}

function whyUnreadable(path: string): Finding | undefined {
  const toFinding = (code: FindingCode, message: string): Finding => ({ code, severity: "error", message });
  const failure = whyUnusable(path, `file ${path}`);
  if (failure?.code === "NOT_FOUND") throw failure;
  return failure && toFinding(failure.code as FindingCode, failure.message);
}

function describeLog(path: string): Finding[] {
  const bytes = logBytes(path);
  if (bytes === 0) return [];
  const isLarge = bytes > LARGE_WAL_BYTES;
  const advice = isLarge
    ? "Look for a process that keeps a read transaction open: the log is not moved into the file before it ends"
    : "It is part of the database, and is moved into the file regularly: no action is needed";
  const message = `The log ${path}-wal has ${bytes} bytes. ${advice}`;
  return [{ code: "WAL_SIZE", severity: isLarge ? "warning" : "info", message }];
}

interface CheckEnd {
  readonly hasEnded: boolean;
  /** The phase in which the process ended. */
  readonly last: Phase | undefined;
  readonly reason: string;
}

async function runCheck(
  order: CheckOrder,
  options: ChildOptions,
  onMessage: (message: CheckMessage) => void,
): Promise<CheckEnd> {
  let last: Phase | undefined;
  let hasEnded = false;
  const { reason, exitCode } = await runReadingChild<CheckMessage>({ call: "check", order }, options, (message) => {
    if ("phase" in message) last = message.phase;
    if ("hasEnded" in message) hasEnded = true;
    onMessage(message);
  });
  if (!hasEnded && last === undefined && exitCode !== undefined) {
    throw new StorageError("IO", `The check could not be started: ${reason}`);
  }
  return { hasEnded, last, reason };
}
