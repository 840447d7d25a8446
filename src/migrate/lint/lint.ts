import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { asFileError, hasErrno } from "../../files/file-error.js";
import { StorageError } from "../../shared/errors.js";
import { expectation } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { sha256, withoutMark } from "../checksum.js";
import type { Migration } from "../journal.js";
import { resolveFolder } from "../options.js";
import { indexOf } from "../plan.js";
import type { LintFinding, LintResult, ReadFile } from "./finding.js";
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
  expectKeys("lint", options, ["folder", "after"]);
  const { after } = options;
  if (after !== undefined && typeof after !== "string") throw new TypeError(expectation("after", "a tag", after));
  const folder = resolveFolder(options.folder);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new StorageError("NOT_FOUND", `There is no migrations folder at ${folder}. Check the path`);
  }
  const meta = join(folder, "meta");
  const journalFile = read(join(meta, "_journal.json"));
  if (journalFile.bytes === undefined) {
    throw new StorageError(
      "NOT_FOUND",
      `There is no journal at ${journalFile.path}. Run drizzle-kit generate, and commit the meta folder`,
    );
  }
  const findings: LintFinding[] = [];
  const marker = findMarker(journalFile);
  const { entries, findings: wrong } =
    marker === undefined ? readRawJournal(journalFile) : { entries: [], findings: [] };
  findings.push(...(marker === undefined ? wrong : [marker]));
  if (marker !== undefined || wrong.some(({ code }) => code === "JOURNAL_INVALID")) return toResult(findings);
  findings.push(...compareFiles(folder, journalFile, entries, readdirSync(folder), readdirSync(meta)));

  const items = entries.map(({ tag, when }) => {
    const file = read(join(folder, `${tag}.sql`));
    const migration: Migration = { tag, when, hash: sha256(file.text), sql: file.text, path: file.path };
    const down = read(join(folder, `${tag}.down.sql`));
    return { tag, file, migration, down, snapshot: read(join(meta, `${tag.split("_", 1)[0]}_snapshot.json`)) };
  });
  const journal = items.map(({ migration }) => migration);
  const released = after === undefined ? [] : items.slice(0, indexOf(journal, after, folder) + 1);

  const texts: LintFinding[] = [];
  for (const { tag, file, migration, down, snapshot } of items) {
    texts.push(...lintFile(file, () => lintText(migration, file, false)));
    texts.push(...lintFile(down, () => lintText(migration, down, true)));
    texts.push(...lintFile(snapshot, () => []));
    if (down.bytes !== undefined || file.bytes === undefined) continue;
    const message = `${tag} has no down file, so it cannot be reverted. Write ${tag}.down.sql`;
    texts.push({ file: file.path, line: 1, severity: "error", code: "DOWN_MISSING", message });
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
  for await (const finding of tryMigrations(journal, trials, wanted)) findings.push(finding);
  const hidden = new Set(released.flatMap(({ file, down, snapshot: { path } }) => [file.path, down.path, path]));
  return toResult(findings.filter(({ file }) => !hidden.has(file)));
}

/** The conflict markers of a file, or else what `more` finds. Nothing if it is missing. */
function lintFile(file: ReadFile, more: () => Iterable<LintFinding>): Iterable<LintFinding> {
  if (file.bytes === undefined) return [];
  const marker = findMarker(file);
  return marker === undefined ? more() : [marker];
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
    throw asFileError(error, `Cannot read ${path}`);
  }
}
