/** The key of a memory's metadata for values that have no column. */
export const MARKS_KEY = "memvid";
/** The content of a memory without text, since it cannot be empty. */
export const NO_TEXT = " ";

/** The values in a memory's metadata that belong to its entry or frame. */
export interface Marks extends Partial<FrameMarks> {
  /** The length of the text in the content; the rest is only for searches. */
  readonly textChars: number;
  /** The given type of an entry, if it is not a valid type of memories. */
  readonly type?: string;
  /** The value of the caller under this key. */
  readonly given?: unknown;
}

/** The values that were put with a frame. */
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

/** The metadata of the caller, and the marks if there are any. */
export function splitMetadata(metadata: Record<string, unknown>): [own: Record<string, unknown>, marks?: Marks] {
  const { [MARKS_KEY]: marks, ...own } = metadata;
  if (!isMarks(marks)) return [metadata];
  return ["given" in marks ? { ...own, [MARKS_KEY]: marks.given } : own, marks];
}

/** Other programs may keep anything under the key, so a value counts only if it has the form of marks. */
function isMarks(value: unknown): value is Marks {
  return typeof value === "object" && value !== null && Number.isSafeInteger((value as Partial<Marks>).textChars);
}
