import type { SearchTarget } from "./request.js";
import { toTerms } from "./terms.js";

/** Characters of a content that may hold a name and its colon. */
const HEAD_CHARS = 48;
const MAX_NAME_WORDS = 3;
/** Longer metadata are not read for a name. */
const MAX_METADATA_CHARS = 4_000;

/** "Ann:", "Dr. Ann Lee:", "李:" at the start of a turn. */
const LEADING_NAME = /^\s*([\p{Lu}\p{Lo}][\p{L}\p{M}\p{N}'’. _-]{0,39}):\s/u;

/** The column of the alias `m` with metadata that may name who said a text; NULL unless `condition` holds: a turn is short. */
export function speakerColumn({ metadata }: SearchTarget, condition: string): string {
  if (metadata === undefined) return "NULL";
  const hasName = `length(m.${metadata}) <= ${MAX_METADATA_CHARS} AND instr(m.${metadata}, '"name"') > 0`;
  return `CASE WHEN ${condition} AND ${hasName} THEN m.${metadata} END`;
}

/** The name of the speaker, if one of `names` is a term of it. */
export function namedSpeaker(
  names: ReadonlySet<string>,
  { text, metadata }: { readonly text: string; readonly metadata: unknown },
): string | undefined {
  const isNamed = (name: string) =>
    name.split(/\s+/).length <= MAX_NAME_WORDS && toTerms(name).some((term) => names.has(term));
  const given = typeof metadata === "string" ? nameIn(metadata) : "";
  if (isNamed(given)) return given;
  const name = LEADING_NAME.exec(text.slice(0, HEAD_CHARS))?.[1];
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
