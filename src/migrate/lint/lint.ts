import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { asFileError, hasErrno } from "../../files/file-error.js";
import { StorageError } from "../../shared/errors.js";
import { expectation } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectOptions } from "../arguments.js";
import { sha256, withoutMark } from "../checksum.js";
import { downName, downPath, type Migration } from "../journal.js";
import { listMigrationFolders } from "../migration-folders.js";
import { resolveFolder } from "../options.js";
import { indexOf } from "../plan.js";
import { finding, type LintCode, type LintFinding, type LintResult, type ReadFile } from "./finding.js";
import { compareFiles, readRawJournal } from "./journal-findings.js";
import { lintSnapshots, parseSnapshot } from "./snapshot-findings.js";
import { findMarker, lintText } from "./text-findings.js";
import { tryMigrations } from "./trial.js";

/** The folder to check, and what to look for. */
export interface LintOptions {
  /** The folder that drizzle-kit writes. */
  readonly folder: string | URL;
  /** The last released migration, by tag: what is wrong with it and with those before is not reported. */
  readonly after?: string | undefined;
}

/**
 * Looks for everything that is wrong with a folder of migrations, without a database: the journal against the files,
 * the texts, the snapshots, and the migrations and down files as they run on an empty database in memory.
 *
 * Rejects with NOT_FOUND if there is no such folder or journal, or no migration `after`. Anything else is a finding.
 */
export async function lint(options: LintOptions): Promise<LintResult> {
  expectOptions("lint", options);
  expectKeys("lint", options, ["folder", "after"]);
  const { after } = options;
  if (after !== undefined && typeof after !== "string") throw new TypeError(expectation("after", "a tag", after));
  const folder = resolveFolder(options.folder);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new StorageError("NOT_FOUND", `There is no migrations folder at ${folder}. Check the path`);
  }
  const { places, findings, isReadable } = readPlaces(folder);
  if (!isReadable) return toResult(findings);
  const items = places.map(({ tag, when, path, downPath, snapshotPath }) => {
    const file = read(path);
    const migration: Migration = { tag, when, hash: sha256(file.text), sql: file.text, path };
    return { tag, file, migration, down: read(downPath), snapshot: read(snapshotPath) };
  });
  const journal = items.map(({ migration }) => migration);
  const released = after === undefined ? [] : items.slice(0, indexOf(journal, after, folder) + 1);

  const texts: LintFinding[] = [];
  for (const { tag, file, migration, down, snapshot } of items) {
    texts.push(...lintFile(file, "MIGRATION_INVALID", () => lintText(migration, file, false)));
    texts.push(...lintFile(down, "DOWN_WRONG", () => lintText(migration, down, true)));
    texts.push(...lintFile(snapshot, "SNAPSHOT_INVALID", () => []));
    if (down.isFolder === true || down.bytes !== undefined || file.bytes === undefined) continue;
    const message = `${tag} has no down file, so it cannot be reverted. Write ${downName(migration)}`;
    texts.push(finding(file.path, "DOWN_MISSING", message));
  }
  // Two migrations with the same number have one file.
  const own = items.filter(({ snapshot }) => items.filter((one) => one.snapshot.path === snapshot.path).length === 1);
  const chain = own.map(({ tag, snapshot }) => ({ tag, file: snapshot }));
  texts.push(...[...lintSnapshots(chain)].filter(({ file }) => !texts.some((one) => one.file === file)));
  findings.push(...texts);

  const isBad = (path: string) =>
    texts.some(({ file, severity, code }) => file === path && severity === "error" && code !== "DOWN_MISSING");
  const stop = items.findIndex(({ file }) => file.bytes === undefined || isBad(file.path));
  const tried = stop < 0 ? items : items.slice(0, stop);
  const trials = tried.map((item) => {
    const { tag, file, down } = item;
    const snapshot = own.includes(item) ? parseSnapshot(item.snapshot) : undefined;
    const code = {
      tag,
      sql: withoutMark(file.text),
      ...(down.bytes === undefined || isBad(down.path) ? {} : { down: withoutMark(down.text) }),
      ...(snapshot === undefined ? {} : { snapshot }),
    };
    return { code, path: file.path, downPath: down.path };
  });
  const last = items.at(-1)?.snapshot;
  const snapshot = last === undefined || tried.length < items.length ? undefined : parseSnapshot(last);
  const wanted = snapshot === undefined ? undefined : { path: last!.path, snapshot };
  for await (const found of tryMigrations(journal, trials, wanted)) findings.push(found);
  const hidden = new Set(released.flatMap(({ file, down, snapshot: { path } }) => [file.path, down.path, path]));
  return toResult(findings.filter(({ file }) => !hidden.has(file)));
}

/** A folder in its place, as `code`; the conflict markers of a file, or else what `more` finds. Nothing if it is missing. */
function lintFile(file: ReadFile, code: LintCode, more: () => Iterable<LintFinding>): Iterable<LintFinding> {
  if (file.isFolder === true) {
    return [finding(file.path, code, "This is a folder, not a file. Replace it")];
  }
  if (file.bytes === undefined) return [];
  const marker = findMarker(file);
  return marker === undefined ? more() : [marker];
}

/** The files of a migration, whether they exist or not. */
interface Place {
  readonly tag: string;
  readonly when: number;
  readonly path: string;
  readonly downPath: string;
  readonly snapshotPath: string;
}

/** Finds the migrations of a folder in either layout, and what is wrong with the journal. */
function readPlaces(folder: string): { places: Place[]; findings: LintFinding[]; isReadable: boolean } {
  const meta = join(folder, "meta");
  const journal = read(join(meta, "_journal.json"));
  const folders = listMigrationFolders(folder);
  if (folders.length > 0 && journal.bytes === undefined) {
    const places = folders.map((one) => ({ ...one, downPath: downPath(one) }));
    return { places, findings: [], isReadable: true };
  }
  if (journal.isFolder === true) {
    return { places: [], findings: [...lintFile(journal, "JOURNAL_INVALID", () => [])], isReadable: false };
  }
  if (journal.bytes === undefined) {
    throw new StorageError(
      "NOT_FOUND",
      `There is no journal at ${journal.path}. Run drizzle-kit generate, and commit the meta folder`,
    );
  }
  const marker = findMarker(journal);
  if (marker !== undefined) return { places: [], findings: [marker], isReadable: false };
  const { entries, findings } = readRawJournal(journal);
  for (const { path, tag } of folders) {
    const message = `${tag} has the layout of drizzle-kit 1.0, and the other migrations that of 0.31. Convert them with drizzle-kit up, or generate this one again`;
    findings.push(finding(path, "NOT_IN_JOURNAL", message));
  }
  if (findings.some(({ code }) => code === "JOURNAL_INVALID")) return { places: [], findings, isReadable: false };
  findings.push(...compareFiles(folder, journal, entries, readdirSync(folder), readdirSync(meta)));
  const places = entries.map(({ tag, when }) => {
    const path = join(folder, `${tag}.sql`);
    const snapshotPath = join(meta, `${tag.split("_", 1)[0]}_snapshot.json`);
    return { tag, when, path, downPath: downPath({ path }), snapshotPath };
  });
  return { places, findings, isReadable: true };
}

function toResult(findings: LintFinding[]): LintResult {
  return { ok: findings.every(({ severity }) => severity !== "error"), findings };
}

function read(path: string): ReadFile {
  try {
    const bytes = readFileSync(path);
    return { path, bytes, text: bytes.toString() };
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return { path, bytes: undefined, text: "" };
    if (hasErrno(error, "EISDIR")) return { path, bytes: undefined, text: "", isFolder: true };
    throw asFileError(error, `Cannot read ${path}`);
  }
}
