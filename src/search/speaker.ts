import type { SearchTarget } from "./request.js";
import { toTerms } from "./terms.js";

/** Characters of a content that may hold a name and its colon. */
const HEAD_CHARS = 48;
const MAX_NAME_WORDS = 3;
/** Longer metadata are not read for a name. */
const MAX_METADATA_CHARS = 4_000;

/** "Ann:", "Dr. Ann Lee:", "李:" at the start of a turn. */
const LEADING_NAME = /^\s*([\p{Lu}\p{Lo}][\p{L}\p{M}\p{N}'’. _-]{0,39}):\s/u;

/**
 * The columns of the alias `m` that tell who said a text: the start of its content, and its metadata if they have a `name`.
 * Both are NULL unless `condition` holds: a turn is short.
 */
export function speakerColumns({ content, metadata, unpack }: SearchTarget, condition: string): string {
  if (metadata === undefined) return "NULL, NULL";
  const start = `substr(m.${content}, 1, ${HEAD_CHARS})`;
  // A packed content cannot be cut before it is unpacked.
  const head =
    unpack === undefined ? start : `CASE typeof(m.${content}) WHEN 'blob' THEN m.${content} ELSE ${start} END`;
  const hasName = `length(m.${metadata}) <= ${MAX_METADATA_CHARS} AND instr(m.${metadata}, '"name"') > 0`;
  return `CASE WHEN ${condition} THEN ${head} END, CASE WHEN ${condition} AND ${hasName} THEN m.${metadata} END`;
}

/** The name of the speaker, if one of `names` is a term of it. */
export function namedSpeaker(
  names: ReadonlySet<string>,
  { head, metadata }: { readonly head: unknown; readonly metadata: unknown },
  { unpack }: SearchTarget,
): string | undefined {
  const isNamed = (name: string) =>
    name.split(/\s+/).length <= MAX_NAME_WORDS && toTerms(name).some((term) => names.has(term));
  const given = typeof metadata === "string" ? nameIn(metadata) : "";
  if (isNamed(given)) return given;
  if (head === null || head === undefined) return undefined;
  const start = typeof head === "string" ? head : (unpack?.(head).slice(0, HEAD_CHARS) ?? "");
  const name = LEADING_NAME.exec(start)?.[1];
  return name !== undefined && isNamed(name) ? name : undefined;
}

function nameIn(metadata: string): string {
  try {
    const { name } = JSON.parse(metadata) as { name?: unknown };
    return typeof name === "string" ? name : "";
  } catch {
    // Another program wrote it. Its text is found all the same.
    return "";
  }
}
