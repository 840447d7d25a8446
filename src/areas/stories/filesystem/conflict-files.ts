import { fromFileName } from "./names.js";

/** A file next to a story, made by another program because both sides changed the story. */
export interface StoryConflictFile {
  /** The id of the story; undefined if the name does not contain it. */
  readonly id: string | undefined;
  readonly path: string;
  /** The name of the file. */
  readonly name: string;
  /** The program that made it. `holdfast` kept a file that was not a story, or that appeared during a save. */
  readonly source: ConflictSource;
  readonly size: number;
  readonly modifiedAt: Date;
}

/** The programs whose conflict files are recognized. */
export type ConflictSource =
  | "dropbox"
  | "onedrive"
  | "syncthing"
  | "nextcloud"
  | "google-drive"
  | "icloud"
  | "git"
  | "holdfast";

const ASIDE = ".outside-conflict-";

/** The names that programs give to copies; the first group is the file name of the story without `.json`. */
const SURE: readonly (readonly [ConflictSource, RegExp])[] = [
  ["holdfast", /^(.+)\.outside-conflict-[0-9a-f-]+\.json$/],
  ["syncthing", /^(.+)\.sync-conflict-\d{8}-\d{6}(?:-[A-Z0-9]+)?\.json$/],
  // "q (Ann's conflicted copy 2026-11-30).json", "q (conflicted copy 2026-11-30 101500).json", "q (Case Conflict 1).json".
  ["dropbox", /^(.+?) ?\([^()]*(?:conflicted copy|(?:case|sync|encoding|white ?space) conflict)[^()]*\)\.json$/i],
  ["git", /^(.+)_(?:BACKUP|BASE|LOCAL|REMOTE)_\d+\.json$/],
  ["git", /^(.+)\.json\.(?:BACKUP|BASE|LOCAL|REMOTE)\.\d+\.json$/],
  ["git", /^(.+)\.json(?:\.orig|\.mine|\.r\d+|~.+)$/],
];
/** Names that a file may have for other reasons: they count only if the first group is a story. */
const LIKELY: readonly (readonly [ConflictSource, RegExp])[] = [
  ["nextcloud", /^(.+)_conflict-\d{8}-\d{6}\.json$/],
  ["google-drive", /^(.+?) ?(?:\[conflict[^\]]*\]|\(\d+\))\.json$/i],
  ["icloud", /^(.+) \d+\.json$/],
];
/** A computer name, which OneDrive appends to the file name; in lower case it may be part of a story's name. */
const COMPUTER = /^(?=.*[A-Z])[A-Za-z0-9][A-Za-z0-9' _-]*$/;

/** The story that a file with this name is a copy of; undefined for other names. `isStory` knows all stories. */
export function parseConflictName(
  file: string,
  isStory: (name: string) => boolean,
): { readonly id: string | undefined; readonly source: ConflictSource } | undefined {
  for (const [source, pattern] of SURE) {
    const base = pattern.exec(file)?.[1];
    if (base !== undefined) return { id: fromFileName(base), source };
  }
  for (const [source, pattern] of LIKELY) {
    const base = pattern.exec(file)?.[1];
    if (base !== undefined && isStory(base)) return { id: fromFileName(base), source };
  }
  if (!file.endsWith(".json")) return undefined;
  for (let at = file.lastIndexOf("-"); at > 0; at = file.lastIndexOf("-", at - 1)) {
    const base = file.slice(0, at);
    if (isStory(base) && COMPUTER.test(file.slice(at + 1, -".json".length))) {
      return { id: fromFileName(base), source: "onedrive" };
    }
  }
  return undefined;
}

/** The path for a file that was found in a story's place; `mark` consists of digits, `-` and a to f. */
export function asideName(path: string, mark: string): string {
  return `${path.replace(/\.json$/, "")}${ASIDE}${mark}.json`;
}
