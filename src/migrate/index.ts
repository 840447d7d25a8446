export { StorageError, type StorageErrorCode } from "../errors.js";
export type { MigrateResult } from "./decision.js";
export { MigrationError } from "./failure.js";
export { type Journal, type Migration, readJournal } from "./journal.js";
export type { LedgerRow } from "./ledger.js";
export { migrate } from "./migrate.js";
export type { JournalOptions, MigrateOptions, MigrationLogger, MigrationPlan, RevertOptions } from "./options.js";
export { type RevertResult, revert } from "./revert.js";
export { type MigrationStatus, status, verify } from "./status.js";
