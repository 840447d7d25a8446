import { shellWord } from "../shared/shell-word.js";
import type { ResolvedJournalOptions } from "./options.js";

/** A command on these migrations, for a message. Undefined for migrations in code, of which there is no command. */
export function commandOn(
  { folder, table, migrations }: Pick<ResolvedJournalOptions, "folder" | "table" | "migrations">,
  name: string,
  more: readonly string[] = [],
): string | undefined {
  if (migrations !== undefined) return undefined;
  return `\`${["holdfast", name, "--folder", folder, "--table", table, ...more].map(shellWord).join(" ")}\``;
}
