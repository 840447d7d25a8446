/** What a check may find; `severity` tells how bad it is. */
export type FindingCode =
  /** SQLite finds its own structures damaged, or the file cannot be read through. */
  | "CORRUPT"
  | "NOT_A_DATABASE"
  | "CANNOT_OPEN"
  /** A row refers to another that is not there. */
  | "FOREIGN_KEY"
  /** A record is not the one that was stored. */
  | "CHECKSUM"
  /** The full-text index and the table behind it have come apart: searches miss or mistake records. */
  | "INDEX_STALE"
  /** A trigger, or a table of the full-text index, that a migration made is gone. */
  | "OBJECT_MISSING"
  | "MIGRATION_PENDING"
  | "MIGRATION_CHANGED"
  | "MIGRATION_UNKNOWN"
  | "FOREIGN_LEDGER"
  | "WAL_SIZE"
  | "RECLAIMABLE"
  /** Something that this database does not let be checked. */
  | "NOT_CHECKED";

/** What `repair` would do about a finding: neither loses anything. */
export type Repair = "reindex" | "triggers";

export interface Finding {
  readonly code: FindingCode;
  readonly severity: "error" | "warning" | "info";
  /** What was found, where, and what to do. */
  readonly message: string;
  /** Undefined where only a person can decide. */
  readonly repair?: Repair;
}

export interface CheckResult {
  /** Whether there is no finding, those of severity `info` aside. */
  readonly ok: boolean;
  readonly findings: Finding[];
}

export function toResult(findings: Finding[]): CheckResult {
  return { ok: findings.every(({ severity }) => severity === "info"), findings };
}
