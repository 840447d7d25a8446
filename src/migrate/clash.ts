import type { Decision } from "./decision.js";
import { migrationFailed } from "./failure.js";
import type { Query } from "./ledger.js";
import type { Script } from "./script.js";

/**
 * Throws MIGRATION_FAILED if a new file has a table, index, trigger or view whose name the migrations use.
 *
 * SQLite would also report the clash, but only after the file is in WAL mode and a backup was made.
 */
export async function assertNoClash(query: Query, { comparison }: Decision, scripts: readonly Script[]): Promise<void> {
  // If the file has some of the migrations, the existing names are those of the migrations.
  if (comparison.last !== undefined) return;
  const present = new Map<string, string>();
  for (const row of await query("SELECT lower(name), type FROM sqlite_schema")) {
    const [name, type] = Array.from(row, String) as [string, string];
    present.set(name, type);
  }
  for (const script of scripts) {
    for (const { sql, ddl, line } of script.statements) {
      if (ddl?.action === "drop") present.delete(ddl.name.toLowerCase());
      if (ddl?.action === "rename") present.delete(ddl.from.toLowerCase());
      if (ddl?.action !== "create" || /\bIF\s+NOT\s+EXISTS\b/i.test(sql)) continue;
      const type = present.get(ddl.name.toLowerCase());
      if (type === undefined) continue;
      const why = `the ${type} "${ddl.name}" already exists in the file, and these migrations did not create it. Use another file for these migrations, or rename that ${type}`;
      throw migrationFailed(script, "was not run", { at: { line, sql }, why });
    }
  }
}
