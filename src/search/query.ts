import { isStopWord } from "./stop-words.js";
import { eachWord, isUnsegmented, termsOfWord, toTerms } from "./terms.js";

/** Most distinct terms one query looks for; of more, the repeated and the longest, which tend to be the rarest. */
const MAX_TERMS = 64;
/** A longer text is not looked for as a phrase: all its words together find it just as well. */
const MAX_PHRASE_TERMS = 32;
const MAX_NEEDLES = 8;
const MIN_NEEDLE_CHARS = 3;
const MAX_NEEDLE_CHARS = 128;
const MIN_PREFIX_CHARS = 2;
/** The parts of a long text that are read: its head and its tail. Shorter texts are read in full. */
const MAX_HEAD_CHARS = 80_000;
const MAX_TAIL_CHARS = 20_000;
const SOMETHING_TO_FIND = /[\p{L}\p{N}\p{Extended_Pictographic}]/u;

const OPERATORS: ReadonlySet<string> = new Set(["AND", "OR", "NOT"]);
const PICTOGRAPH = /\p{Extended_Pictographic}/u;
const LOWER_CASE = /\p{Ll}/u;
const EDGE_PUNCTUATION = /^[\p{P}\p{S}]+|[\p{P}\p{S}]+$/gu;

/** One thing to look for in the index, without the scope of its project. */
export interface QueryTerm {
  readonly text: string;
  /** Whether every indexed term that starts with `text` counts, as for a single character of a script without spaces. */
  readonly isPrefix: boolean;
  /** Whether a row lacking it lacks a word of the query; the whole of a `camelCase` word does not count if its parts do. */
  readonly isRequired: boolean;
  /** How often the query has it: a word said again says more of what is meant. */
  readonly count: number;
}

/** The steps of a search for a user's text. All parts are empty if the text asks for nothing. */
export interface QueryPlan {
  /** The text holds nothing to look for ("", "*", punctuation): show the most recent. */
  readonly isRecent: boolean;
  /** Distinct terms of the words that matter, in order. */
  readonly terms: readonly QueryTerm[];
  /** Every term of the text, stop words included, or empty when a phrase would say no more than the terms. */
  readonly phrase: readonly QueryTerm[];
  /** Pieces of text to find anywhere inside words, for when the index has nothing; each in the spellings that LIKE tells apart. */
  readonly needles: readonly (readonly string[])[];
}

/** Reads any text, well-formed or not, as a query; never throws. */
export function planQuery(text: string): QueryPlan {
  const clean = withoutMiddle(text).toWellFormed();
  const terms = contentTerms(clean);
  const needles = findNeedles(clean, terms.length > 0);
  return { isRecent: terms.length === 0 && needles.length === 0, terms, phrase: phraseTerms(clean, terms), needles };
}

/** The FTS5 expression that finds `terms` in the rows of `scope`, either next to each other, all, or any of them. */
export function matchExpression(terms: readonly QueryTerm[], scope: string, how: "phrase" | "all" | "any"): string {
  if (how !== "phrase") {
    return terms.map((term) => matchExpression([term], scope, "phrase")).join(how === "all" ? " AND " : " OR ");
  }
  // Terms hold no quote, so quoting them makes any text a plain string to FTS5.
  const quoted = `"${terms.map((term) => scope + term.text).join(" ")}"`;
  return terms.at(-1)?.isPrefix ? `${quoted}*` : quoted;
}

/** The same terms as beginnings of words; those too short to tell words apart are left out. */
export function asPrefixes(terms: readonly QueryTerm[]): QueryTerm[] {
  return terms
    .filter((term) => !term.isPrefix && term.text.length >= MIN_PREFIX_CHARS)
    .map((term) => ({ ...term, isPrefix: true }));
}

/** `needle` as a LIKE pattern with `\` as the escape character. */
export function likePattern(needle: string): string {
  return `%${needle.replace(/[\\%_]/g, "\\$&")}%`;
}

/** A very long text by its beginning and its end, cut between words: more would say little, and keep the event loop. */
function withoutMiddle(text: string): string {
  if (text.length <= MAX_HEAD_CHARS + MAX_TAIL_CHARS) return text;
  const start = Math.max(0, text.search(SOMETHING_TO_FIND));
  const head = text.slice(start, start + MAX_HEAD_CHARS);
  const tail = text.slice(Math.max(start + MAX_HEAD_CHARS, text.length - MAX_TAIL_CHARS));
  return `${head.replace(/\S*$/, "") || head} ${tail.replace(/^\S*/, "") || tail}`;
}

function contentTerms(text: string): QueryTerm[] {
  const all = new Map<string, QueryTerm>();
  const content = new Map<string, QueryTerm>();
  const hasLowerCase = LOWER_CASE.test(text);
  eachWord(text, (word) => {
    const isStop = isStopWord(word, hasLowerCase && !OPERATORS.has(word));
    for (const term of queryTerms(word)) {
      const key = term.isPrefix ? `${term.text}*` : term.text;
      const known = content.get(key) ?? all.get(key);
      const merged = { ...(known?.isRequired ? known : term), count: (known?.count ?? 0) + 1 };
      all.set(key, merged);
      if (!isStop) content.set(key, merged);
    }
  });
  const chosen = [...(content.size > 0 ? content : all).values()];
  if (chosen.length <= MAX_TERMS) return chosen;
  return chosen.sort((a, b) => b.count - a.count || b.text.length - a.text.length).slice(0, MAX_TERMS);
}

/** The terms of one word as a search asks for them. */
function queryTerms(word: string): QueryTerm[] {
  const terms = termsOfWord(word);
  if (!isUnsegmented(word)) {
    return terms.map((text, i) => ({ text, isPrefix: false, isRequired: i > 0 || terms.length === 1, count: 1 }));
  }
  return terms.flatMap((text, i): QueryTerm[] => {
    if (!isSingleCharacter(text)) return [{ text, isPrefix: false, isRequired: true, count: 1 }];
    // The last character of a run stands in the index for its end; the pair before it already asks for it.
    const isEnd = i > 0 && terms[i - 1]!.length > text.length && terms[i - 1]!.endsWith(text);
    return isEnd ? [] : [{ text, isPrefix: true, isRequired: true, count: 1 }];
  });
}

function phraseTerms(text: string, terms: readonly QueryTerm[]): QueryTerm[] {
  // Each word gives a term or more, so a text this long cannot be a phrase: spare it the second reading.
  if (terms.length >= MAX_TERMS) return [];
  const all = toTerms(text);
  const phrase = all.map((term) => ({ text: term, isPrefix: false, isRequired: true, count: 1 }));
  const last = all.at(-1);
  if (last !== undefined && isSingleCharacter(last)) {
    const before = all.at(-2);
    if (before !== undefined && isUnsegmented(before) && before.length > last.length && before.endsWith(last))
      phrase.pop();
    else phrase[phrase.length - 1] = { text: last, isPrefix: true, isRequired: true, count: 1 };
  }
  return phrase.length < 2 || phrase.length > MAX_PHRASE_TERMS ? [] : phrase;
}

function isSingleCharacter(term: string): boolean {
  return term.length <= 2 && isUnsegmented(term) && Array.from(term).length === 1;
}

function findNeedles(text: string, hasTerms: boolean): string[][] {
  const found = new Set<string>();
  for (const piece of text.slice(0, MAX_NEEDLES * MAX_NEEDLE_CHARS * 4).split(/[\s\0]+/)) {
    const isPictograph = PICTOGRAPH.test(piece);
    const bare = isPictograph ? piece : piece.replace(EDGE_PUNCTUATION, "");
    if (bare.length >= MIN_NEEDLE_CHARS || isPictograph) found.add(bare.slice(0, MAX_NEEDLE_CHARS).toWellFormed());
  }
  let needles = [...found];
  // Common words occur in too much to say anything, unless they are all there is.
  const content = needles.filter((needle) => !isStopWord(needle, false));
  if (hasTerms && content.length > 0) needles = content;
  return needles
    .sort((a, b) => b.length - a.length)
    .slice(0, MAX_NEEDLES)
    .map(spellings);
}

/** The spellings of `needle` to search, because LIKE ignores the case of ASCII letters only. */
export function spellings(needle: string): string[] {
  if (/^[\x00-\x7f]*$/.test(needle)) return [needle];
  const lower = needle.toLowerCase();
  const capital =
    String.fromCodePoint(lower.codePointAt(0)!).toUpperCase() + lower.slice(lower.codePointAt(0)! > 0xffff ? 2 : 1);
  return [...new Set([needle, lower, needle.toUpperCase(), capital])];
}
