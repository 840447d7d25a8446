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
const FUNCTION = /\b(?:storage\.)?\w+\(\)(?: or|,) (?=`holdfast )/g;
/** The names of options in another place of the library. */
const ELSEWHERE = / \(openStorage: [^)]*\)/g;
/** An option without a flag. */
const UNAVAILABLE = /, or raise `busyTimeoutMs`/g;

/** The message of an error of the library in the words of the command line. */
export function inCommandWords(message: string): string {
  return message
    .replace(FUNCTION, "")
    .replace(ELSEWHERE, "")
    .replace(UNAVAILABLE, "")
    .replace(/`(\w+)`/g, (quoted, name: string) =>
      Object.hasOwn(OPTION_NAMES, name) ? `\`${OPTION_NAMES[name]}\`` : quoted,
    );
}
