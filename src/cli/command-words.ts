/** Options of the library as the command line or the environment has them. */
export const OPTION_NAMES: Readonly<Record<string, string>> = {
  allowOutOfOrder: "--allow-out-of-order",
  area: "--area",
  authToken: "HOLDFAST_AUTH_TOKEN",
  encryptionKey: "HOLDFAST_ENCRYPTION_KEY",
  intoProject: "--into-project",
  keepBackups: "--keep-backups",
  limit: "--limit",
  maxBytes: "--max-bytes",
  maxRows: "--max-rows",
  olderThan: "--older-than",
  onConflict: "--on-conflict",
  project: "--project",
  steps: "--steps",
  target: "--url",
  to: "--to",
  type: "--type",
  url: "--url",
};

/** Advice for programs, and what the user of a command can do instead. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  // "salvage() or `holdfast salvage`", "migrate(), `holdfast migrate`"
  [/\b(?:storage\.)?\w+\(\)(?: or|,) (?=`holdfast )/g, ""],
  [/\bexport\(\) and import\(\)/g, "`holdfast export` and `holdfast import`"],
  [/, or openStorage without `readOnly` and `migrate`,/g, ""],
  [/, or raise `busyTimeoutMs`/g, ""],
  [/ with `readOnly`(?=: a program ended)/g, ""],
  [/Open it once without that option/g, "`holdfast migrate` opens it for writing"],
];

/** The message of an error of the library in the words of the command line. */
export function inCommandWords(message: string): string {
  return ADVICE.reduce((text, [pattern, words]) => text.replace(pattern, words), message).replace(
    /`(\w+)`/g,
    (quoted, name: string) => (Object.hasOwn(OPTION_NAMES, name) ? `\`${OPTION_NAMES[name]}\`` : quoted),
  );
}
