import { takeToken } from "../shared/secrets.js";
import { shellWord } from "../shared/shell-word.js";

/** The flags and environment variables of the options of the library. */
export const OPTION_NAMES: Readonly<Record<string, string>> = {
  after: "--after",
  allowOutOfOrder: "--allow-out-of-order",
  area: "--area",
  authToken: "HOLDFAST_AUTH_TOKEN",
  encryptionKey: "HOLDFAST_ENCRYPTION_KEY",
  from: "--from",
  intoProject: "--into-project",
  keepBackups: "--keep-backups",
  limit: "--limit",
  maxBytes: "--max-bytes",
  maxRows: "--max-rows",
  olderThan: "--older-than",
  onConflict: "--on-conflict",
  project: "--project",
  steps: "--steps",
  table: "--table",
  target: "--url",
  to: "--to",
  type: "--type",
  url: "--url",
};

/** Where a message names a function and its command, the command line names the command. */
const FUNCTION = /\b(?:storage\.)?\w+\(\)(?: \(`[^`]*`\))?(?: or|,) (?=`holdfast )/g;
/** The names of options in another place of the library. */
const ELSEWHERE = / \((?:openStorage: [^)]*|`table: "app_migrations"`)\)/g;
/** An option without a flag. */
const UNAVAILABLE = /, or raise `busyTimeoutMs`/g;

/** A suggested command that works on a database and does not name it. */
const SUGGESTED = /`holdfast (?!salvage|lint|generate|help)(?![^`]* --(?:url|help))[^`]*(?=`)/g;

/** The message of an error of the library in the words of the command line. Commands in it name the database `url`. */
export function inCommandWords(message: string, url: string | undefined): string {
  // The token of a server comes from the environment.
  const database = url === undefined ? "" : ` --url ${shellWord(takeToken(url).url)}`;
  return message
    .replace(FUNCTION, "")
    .replace(ELSEWHERE, "")
    .replace(UNAVAILABLE, "")
    .replace(SUGGESTED, (command) => command + database)
    .replace(/`(\w+)`/g, (quoted, name: string) =>
      Object.hasOwn(OPTION_NAMES, name) ? `\`${OPTION_NAMES[name]}\`` : quoted,
    );
}
