/** The kinds of findings; `severity` says how bad one is. */
export type FindingCode =
  /** SQLite finds its own structures damaged, or part of the file cannot be read. */
  | "CORRUPT"
  | "NOT_A_DATABASE"
  | "CANNOT_OPEN"
  /** A row refers to a missing row. */
  | "FOREIGN_KEY"
  /** A record does not match its checksum, or cannot be read. */
  | "CHECKSUM"
  /** A full-text index does not match its table: searches miss records or find wrong ones. */
  | "INDEX_STALE"
  /** A trigger, an index, or a table of the full-text index that a migration made is missing. */
  | "OBJECT_MISSING"
  /** A trigger, view, full-text table or foreign key that SQLite refuses when it is used. */
  | "UNCOMPILABLE"
  | "MIGRATION_PENDING"
  | "MIGRATION_CHANGED"
  | "MIGRATION_UNKNOWN"
  /** Pending migrations that `migrate` would refuse. */
  | "MIGRATION_OUT_OF_ORDER"
  | "MIGRATION_INVALID"
  | "MIGRATION_FAILED"
  | "FOREIGN_LEDGER"
  | "WAL_SIZE"
  | "RECLAIMABLE"
  /** A check that this database does not allow. */
  | "NOT_CHECKED";

/** The repair of a finding. Neither loses anything. */
export type Repair = "reindex" | "triggers";

/** One thing that a check found. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: "error" | "warning" | "info";
  /** What was found, where, and what to do. */
  readonly message: string;
  /** Undefined if a person must decide what to do. */
  readonly repair?: Repair;
}

/** What a check found. */
export interface CheckResult {
  /** Whether all findings are of severity `info`. */
  readonly ok: boolean;
  readonly findings: Finding[];
}

export function toResult(findings: Finding[]): CheckResult {
  return { ok: findings.every(({ severity }) => severity === "info"), findings };
}
