import { tokens } from "../client/sql/parse.js";

const VERBS = new Set(["SELECT", "VALUES", "INSERT", "UPDATE", "DELETE", "REPLACE"]);

/** What the first statement of `sql` does: its first word, or after WITH the verb. */
export function operationOf(sql: string): string {
  let depth = 0;
  let isAfterWith = false;
  for (const { text, type } of tokens(sql)) {
    if (text === "(") depth++;
    else if (text === ")") depth--;
    if (type !== "word" || depth > 0) continue;
    const word = text.toUpperCase();
    if (isAfterWith ? VERBS.has(word) : word !== "WITH") return word;
    isAfterWith = true;
  }
  return "UNKNOWN";
}
