/** The key of a memory's metadata that holds what a memory has no column for. */
export const MARKS_KEY = "memvid";
/** What a memory without any text holds: its content cannot be empty. */
export const NO_TEXT = " ";

/** What a memory's metadata says about the entry or the frame that it is. */
export interface Marks extends Partial<FrameMarks> {
  /** How much of the content is the text itself; what follows is there to be found. */
  readonly textChars: number;
  /** The type of an entry as it was given, where types of memories cannot look like it. */
  readonly type?: string;
  /** What the caller keeps under this key. */
  readonly given?: unknown;
}

/** What was given with a frame. */
export interface FrameMarks {
  readonly title: string;
  readonly label: string | null;
  readonly labels: readonly string[];
  readonly tags: readonly string[];
  readonly kind: string | null;
  readonly track: string | null;
  /** How much a correction counts in a search. */
  readonly boost?: number;
}

/** The metadata as the caller gave it, and the marks beside it where there are any. */
export function splitMetadata(metadata: Record<string, unknown>): [own: Record<string, unknown>, marks?: Marks] {
  const { [MARKS_KEY]: marks, ...own } = metadata;
  if (!isMarks(marks)) return [metadata];
  return ["given" in marks ? { ...own, [MARKS_KEY]: marks.given } : own, marks];
}

/** Other programs may keep anything under the key: it counts only if it looks like ours. */
function isMarks(value: unknown): value is Marks {
  return typeof value === "object" && value !== null && Number.isSafeInteger((value as Partial<Marks>).textChars);
}
