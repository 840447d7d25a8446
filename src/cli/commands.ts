import type { CliCommand } from "./command.js";
import { acceptCommand } from "./commands/accept.js";
import { adoptCommand } from "./commands/adopt.js";
import { backupCommand } from "./commands/backup.js";
import { baselineCommand } from "./commands/baseline.js";
import { checkCommand } from "./commands/check.js";
import { compactCommand } from "./commands/compact.js";
import { exportCommand } from "./commands/export.js";
import { generateCommand } from "./commands/generate.js";
import { importCommand } from "./commands/import.js";
import { lintCommand } from "./commands/lint.js";
import { migrateCommand } from "./commands/migrate.js";
import { pruneCommand } from "./commands/prune.js";
import { reindexCommand } from "./commands/reindex.js";
import { restoreCommand } from "./commands/restore.js";
import { revertCommand } from "./commands/revert.js";
import { salvageCommand } from "./commands/salvage.js";
import { searchCommand } from "./commands/search.js";
import { showCommand } from "./commands/show.js";
import { statsCommand } from "./commands/stats.js";
import { statusCommand } from "./commands/status.js";
import { studioCommand } from "./commands/studio.js";

/** The commands in the order of the help. They load the whole library. */
export const COMMANDS: readonly CliCommand[] = [
  migrateCommand,
  statusCommand,
  revertCommand,
  adoptCommand,
  baselineCommand,
  acceptCommand,
  generateCommand,
  lintCommand,
  checkCommand,
  backupCommand,
  restoreCommand,
  salvageCommand,
  statsCommand,
  searchCommand,
  showCommand,
  exportCommand,
  importCommand,
  pruneCommand,
  compactCommand,
  reindexCommand,
  studioCommand,
];
