import type { Decision } from "./decision.js";
import { migrationFailed } from "./failure.js";
import type { Query } from "./ledger.js";
import type { Script } from "./script.js";

/**
 * Refuses to begin with a file that has a table, index, trigger or view of a name that the migrations would take.
 *
 * SQLite would say so too, but only on the way: the file would be in WAL mode by then, and a backup would have been made.
 * Throws MIGRATION_FAILED.
 */
export async function assertNoClash(query: Query, { comparison }: Decision, scripts: readonly Script[]): Promise<void> {
  // In a file that has some of the migrations, the names that are there are their own.
  if (comparison.last !== undefined) return;
  const present = new Map<string, string>();
  for (const row of await query("SELECT lower(name), type FROM sqlite_schema")) {
    present.set(String(row[0]), String(row[1]));
  }
  for (const script of scripts) {
    for (const { sql, ddl, line } of script.statements) {
      if (ddl?.action === "drop") present.delete(ddl.name.toLowerCase());
      if (ddl?.action === "rename") present.delete(ddl.from.toLowerCase());
      if (ddl?.action !== "create" || /\bIF\s+NOT\s+EXISTS\b/i.test(sql)) continue;
      const type = present.get(ddl.name.toLowerCase());
      if (type === undefined) continue;
      const why = `the ${type} "${ddl.name}" already exists in the file, made by something else. Use another file for these migrations, or rename that ${type}`;
      throw migrationFailed(script, "was not run", { at: { line, sql }, why });
    }
  }
}
