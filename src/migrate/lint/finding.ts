/** What is wrong with a folder of migrations. */
export type LintCode =
  /** A file has the conflict markers of a merge. */
  | "CONFLICT_MARKER"
  /** The journal is not one that can be read. */
  | "JOURNAL_INVALID"
  /** Two migrations have the same tag, number or time. */
  | "DUPLICATE"
  /** A migration is older than the one before it, so databases that have the other one refuse or skip it. */
  | "OUT_OF_ORDER"
  /** The journal lists a migration that has no file. */
  | "FILE_MISSING"
  /** A migration, a down file or a snapshot that the journal does not list. */
  | "NOT_IN_JOURNAL"
  /** A migration or down file that is refused for its text. */
  | "MIGRATION_INVALID"
  /** A migration with a statement that is not allowed or fails, or that leaves something that does not work. */
  | "MIGRATION_FAILED"
  /** A migration that fails on each database whose tables have rows, because a new column needs a value. */
  | "FAILS_ON_ROWS"
  /** Two statements without a breakpoint between them, of which some drivers run only the first. */
  | "BREAKPOINT_MISSING"
  | "DOWN_MISSING"
  /** A down file that is refused, fails, or does not restore the schema. */
  | "DOWN_WRONG"
  | "SNAPSHOT_MISSING"
  /** A snapshot that cannot be read, or does not follow that of the migration before. */
  | "SNAPSHOT_INVALID"
  /** The last snapshot has a table or column that the migrations do not create, or create with another type or default. */
  | "SCHEMA_DRIFT"
  /** A migration removes a table or a column with its values. */
  | "DESTRUCTIVE";

/** One thing that `lint` found. */
export interface LintFinding {
  /** The path of the file. */
  readonly file: string;
  /** The line in it, from 1. */
  readonly line: number;
  /** Only an `error` makes the result not ok. */
  readonly severity: "error" | "info";
  readonly code: LintCode;
  readonly message: string;
}

/** What `lint` found. */
export interface LintResult {
  /** Whether there are no findings of severity `error`. */
  readonly ok: boolean;
  /** In the order of the migrations. */
  readonly findings: LintFinding[];
}

export function finding(
  file: string,
  code: LintCode,
  message: string,
  line = 1,
  severity: LintFinding["severity"] = "error",
): LintFinding {
  return { file, line, severity, code, message };
}

/** A file as it was read; undefined if it is missing. */
export interface ReadFile {
  readonly path: string;
  readonly bytes: Buffer | undefined;
  readonly text: string;
  /** Whether there is a folder in its place. */
  readonly isFolder?: boolean;
}

/** The line of the first place of `needle` in a text, from 1; 1 if it is not there. */
export function lineOf(text: string, needle: string): number {
  return text.slice(0, Math.max(text.indexOf(needle), 0)).split("\n").length;
}
