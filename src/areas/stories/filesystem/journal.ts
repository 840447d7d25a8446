import type { FileStamp } from "./files.js";

/** A decided change as the journal describes it: the remaining work is to move files. */
export interface Journal {
  readonly keeps: readonly { readonly from: string; readonly to: string }[];
  readonly moves: readonly { readonly from: string; readonly to: string }[];
  readonly removes: readonly string[];
  readonly found?: Readonly<Record<string, FileStamp | null>>;
  /** Distinguishes the files that this change puts aside from those of other changes. */
  readonly aside?: string;
  readonly indexLines: string;
  /** Removes everything first; the lines are then the whole index. */
  readonly isClear?: boolean;
}

/** The paths that a journal may name: a forged one must not reach any other file. */
const OWN_PATH = /^(?:(?:stories|metadata|\.tmp)\/[^/\\]+|revisions\/[^/\\.]+\/\d+\.json)$/;

/** Undefined for text that is not a journal of this library. */
export function parseJournal(text: string | undefined): Journal | undefined {
  try {
    const journal = JSON.parse(text ?? "") as Journal;
    const paths = [...journal.keeps, ...journal.moves].flatMap(({ from, to }) => [from, to]);
    const isOwn = [...paths, ...journal.removes].every((path) => OWN_PATH.test(path) && !path.includes("/.."));
    return isOwn && typeof journal.indexLines === "string" ? journal : undefined;
  } catch {
    // Not JSON, or not the fields of a journal.
    return undefined;
  }
}
