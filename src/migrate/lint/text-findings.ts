import { splitScript } from "../../client/sql/parse.js";
import { UNFINISHED } from "../down.js";
import { withoutState } from "../failure.js";
import type { Migration } from "../journal.js";
import { whyUnreadable } from "../journal.js";
import { refusalsOf } from "../refusals.js";
import { readScript, splitParts } from "../script.js";
import { finding, type LintCode, type LintFinding, lineOf, type ReadFile } from "./finding.js";

const MARKER = /^(?:<{7}|>{7}|\|{7})(?: |$)/m;
/** A command of SQLite's shell. */
const DOT_COMMAND = /^\.[a-z]+/i;

/** Whether a merge left its conflict markers in a file. */
export function findMarker(file: ReadFile): LintFinding | undefined {
  const found = MARKER.exec(file.text);
  if (found === null) return undefined;
  const line = file.text.slice(0, found.index).split("\n").length;
  return finding(file.path, "CONFLICT_MARKER", "A merge left its conflict markers. Resolve the conflict", line);
}

/** Reports what is wrong with the text of a migration, or of its down file. */
export function* lintText(migration: Migration, file: ReadFile, isDown: boolean): Generator<LintFinding> {
  const report = (code: LintCode, message: string, line?: number, severity?: LintFinding["severity"]) =>
    finding(file.path, isDown ? "DOWN_WRONG" : code, message, line, severity);
  const unreadable = whyUnreadable(file.bytes!);
  if (unreadable !== undefined) {
    yield report("MIGRATION_INVALID", `This is not SQL text: ${unreadable}. Save the file as UTF-8`);
    return;
  }
  if (isDown && file.text.trim() === "")
    yield report("DOWN_WRONG", "The down file is empty. If nothing is to be undone, say so in a comment");
  if (isDown && file.text.includes(UNFINISHED)) {
    yield report("DOWN_WRONG", `The down file of ${migration.tag} is not written yet`, lineOf(file.text, UNFINISHED));
    return;
  }
  const script = readScript(migration, isDown ? file.text : undefined);
  const dots = script.statements.filter(({ sql }) => DOT_COMMAND.test(sql));
  for (const { sql, line } of dots) {
    const command = DOT_COMMAND.exec(sql)![0];
    yield report(
      "MIGRATION_FAILED",
      `${command} is a command of SQLite's shell, not SQL. Write the statements themselves`,
      line,
    );
  }
  for (const { code, message, line } of refusalsOf(script)) {
    yield report(code as LintCode, withoutState(message), line);
  }
  if (isDown) return;
  for (const { text, start } of splitParts(file.text)) {
    const second = splitScript(text)[1];
    if (second === undefined) continue;
    const line = file.text.slice(0, start + second.offset).split("\n").length;
    const message =
      "There is no breakpoint before this statement, so drizzle-kit migrate may not run it. Write --> statement-breakpoint before it";
    yield report("BREAKPOINT_MISSING", message, line, "info");
  }
}
