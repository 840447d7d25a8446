export { StorageError, type StorageErrorCode } from "../shared/errors.js";
export {
  type AcceptResult,
  type AdoptOptions,
  type AdoptResult,
  accept,
  adopt,
  baseline,
} from "./adopt.js";
export type { MigrateResult } from "./decision.js";
export type { DryRunProblem, DryRunResult } from "./dry-run-result.js";
export { MigrationError } from "./failure.js";
export { type Journal, type Migration, readJournal } from "./journal.js";
export type { LedgerRow } from "./ledger.js";
export type { LintCode, LintFinding, LintResult } from "./lint/finding.js";
export { type LintOptions, lint } from "./lint/lint.js";
export { migrate } from "./migrate.js";
export { findMissingObjects, type MissingObject, restoreMissingObjects } from "./missing-objects.js";
export type {
  CodeMigration,
  JournalOptions,
  MigrateOptions,
  MigrationLogger,
  MigrationPlan,
  RevertOptions,
} from "./options.js";
export { type RevertResult, revert } from "./revert.js";
export { currentVersion, type MigrationStatus, status, verify } from "./status.js";
