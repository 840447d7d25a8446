import { basename, join } from "node:path";
import { finding, type LintCode, type LintFinding, lineOf, type ReadFile } from "./finding.js";

/** An entry of a journal that names a file. */
export interface JournalEntry {
  readonly tag: string;
  readonly when: number;
  /** The line of the journal that names it. */
  readonly line: number;
}

interface JournalReading {
  /** The entries with a usable tag, each tag once, in the order of the journal. */
  readonly entries: JournalEntry[];
  readonly findings: LintFinding[];
}

/** Reads a journal as far as it can be read, and reports everything that is wrong with it. */
export function readRawJournal({ path, text }: ReadFile): JournalReading {
  const findings: LintFinding[] = [];
  const entries: JournalEntry[] = [];
  const report = (code: LintCode, message: string, line?: number) => findings.push(finding(path, code, message, line));
  let journal: { dialect?: unknown; entries?: unknown } | null;
  try {
    journal = JSON.parse(text);
  } catch (error) {
    report("JOURNAL_INVALID", `The journal is not JSON: ${(error as Error).message}. Restore it`);
    return { entries, findings };
  }
  const { dialect, entries: listed } = journal ?? {};
  if (dialect !== undefined && dialect !== "sqlite" && dialect !== "turso") {
    report(
      "JOURNAL_INVALID",
      `The journal is of the dialect ${JSON.stringify(dialect)}, not sqlite`,
      lineOf(text, '"dialect"'),
    );
  }
  if (!Array.isArray(listed)) {
    report("JOURNAL_INVALID", "The journal has no `entries`. Restore it");
    return { entries, findings };
  }
  const indexes = new Map<unknown, string>();
  const numbers = new Map<string, string>();
  let newest: JournalEntry | undefined;
  for (const [index, one] of listed.entries()) {
    const { idx, tag, when } = (one ?? {}) as { idx?: unknown; tag?: unknown; when?: unknown };
    if (typeof tag !== "string" || tag === "" || /[/\\\0]/.test(tag)) {
      report("JOURNAL_INVALID", `Entry ${index} has no usable \`tag\``);
      continue;
    }
    const first = lineOf(text, `"${tag}"`);
    const line = entries.some((entry) => entry.tag === tag)
      ? first + lineOf(text.split("\n").slice(first).join("\n"), `"${tag}"`)
      : first;
    if (entries.some((entry) => entry.tag === tag)) {
      report("DUPLICATE", `The journal lists ${tag} twice. Remove one of the entries`, line);
      continue;
    }
    if (!Number.isSafeInteger(when)) {
      report("JOURNAL_INVALID", `${tag} has no usable \`when\``, line);
      continue;
    }
    const entry = { tag, when: when as number, line };
    entries.push(entry);
    const sameIndex = indexes.get(idx);
    if (sameIndex !== undefined) {
      report("DUPLICATE", `${tag} has the \`idx\` ${idx}, and so has ${sameIndex}. ${MERGED}`, line);
    }
    indexes.set(idx, tag);
    const number = /^\d+/.exec(tag)?.[0];
    const sameNumber = number === undefined ? undefined : numbers.get(number);
    if (sameNumber !== undefined && sameIndex === undefined) {
      report(
        "DUPLICATE",
        `${tag} has the number of ${sameNumber}, and drizzle-kit keeps one snapshot for a number. ${MERGED}`,
        line,
      );
    }
    if (number !== undefined) numbers.set(number, tag);
    if (newest !== undefined && entry.when <= newest.when) {
      const what = entry.when === newest.when ? "has the same `when` as" : "is older than";
      report(
        entry.when === newest.when ? "DUPLICATE" : "OUT_OF_ORDER",
        `${tag} ${what} ${newest.tag}, so databases that have ${newest.tag} do not get it. ${MERGED}`,
        line,
      );
    } else newest = entry;
  }
  return { entries, findings };
}

const MERGED =
  "Probably two branches were merged: remove one of the two migrations, and generate it again on top of the other";

/** Compares the files of a folder and of its `meta` with the journal. */
export function compareFiles(
  folder: string,
  journal: ReadFile,
  entries: readonly JournalEntry[],
  files: readonly string[],
  metaFiles: readonly string[],
): LintFinding[] {
  const tags = new Set(entries.map(({ tag }) => tag));
  const findings: LintFinding[] = [];
  for (const { tag, line } of entries) {
    if (files.includes(`${tag}.sql`)) continue;
    const message = `The journal lists ${tag}, and there is no ${tag}.sql. Restore the file`;
    findings.push(finding(journal.path, "FILE_MISSING", message, line));
  }
  for (const name of files) {
    if (!name.endsWith(".sql")) continue;
    const isDown = name.endsWith(".down.sql");
    const tag = basename(name, isDown ? ".down.sql" : ".sql");
    if (tags.has(tag)) continue;
    const what = isDown
      ? `There is no migration ${tag} for this down file`
      : `The journal does not list ${tag}, so it is never applied`;
    const message = `${what}. Restore its entry in the journal, or remove the file`;
    findings.push(finding(join(folder, name), "NOT_IN_JOURNAL", message));
  }
  const numbers = new Set([...tags].map((tag) => tag.split("_", 1)[0]));
  for (const name of metaFiles) {
    const number = /^(.+)_snapshot\.json$/.exec(name)?.[1];
    if (number === undefined || numbers.has(number)) continue;
    const message = `The journal lists no migration for this snapshot, and drizzle-kit would compare with it. Restore the entry, or remove the file`;
    findings.push(finding(join(folder, "meta", name), "NOT_IN_JOURNAL", message));
  }
  return findings;
}
