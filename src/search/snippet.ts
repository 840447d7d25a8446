import { expectKeys } from "../shared/known-keys.js";
import type { QueryPlan } from "./query.js";
import { eachOriginalWord, foldAccents, isAscii, isUnsegmented, scriptRuns, termsOfWord } from "./terms.js";

/** Matches looked at; the densest place among them is dense enough. */
const MAX_MATCHES = 500;
/** Characters read after the first match: a better place further on is not worth reading the whole of a long text. */
const MAX_CHARS_AFTER_MATCH = 10_000;
const ELLIPSIS = "…";
/** How much of the spare room comes before the matches. */
const LEAD_SHARE = 0.4;
/** How far a cut moves to fall between words. */
const MAX_CUT_MOVE_CHARS = 24;
const ZERO_WIDTH_JOINER = 0x200d;
/** A low surrogate (the rest of a character), a combining mark, a joiner or the skin tone of an emoji. */
const JOINED_TO_PREVIOUS = /^(?:[\udc00-\udfff]|\ud83c[\udffb-\udfff]|\p{M}|\u200d)/u;

export interface SnippetOptions {
  /** Longest snippet, marks and ellipses included, in UTF-16 units. @default 300 */
  readonly maxChars?: number;
  /** Put before each match. @default "<mark>" */
  readonly open?: string;
  /** Put after each match. @default "</mark>" */
  readonly close?: string;
}

interface Match {
  readonly start: number;
  readonly end: number;
  /** Which of the things looked for this is. */
  readonly what: string;
}

/** Options that are checked, with the defaults filled in. */
export type SnippetShape = Required<SnippetOptions>;

/**
 * The part of `content` that best shows why it matches a query, with the matches marked.
 *
 * Marks whole original words whose terms match, however they are written; where there are none, words that begin so; then any
 * place that holds a piece of the query. Never cuts a character. Content is not escaped: to show a snippet as HTML, choose
 * marks that survive escaping and replace them afterwards.
 */
export function snippet(content: string, plan: QueryPlan, { maxChars, open, close }: SnippetShape): string {
  const marks = open.length + close.length;
  const matches = findMatches(content, plan);
  const window = densestWindow(content, matches, maxChars - 2 * ELLIPSIS.length, marks);
  const room = maxChars - window.length * marks;
  const { start, end } = place(content, window, room);
  let out = start > 0 ? ELLIPSIS : "";
  let at = start;
  for (const match of window) {
    out += content.slice(at, match.start) + open + content.slice(match.start, match.end) + close;
    at = match.end;
  }
  return out + content.slice(at, end) + (end < content.length ? ELLIPSIS : "");
}

/** How many places of `content` match a query; the first 500 are counted, and those near the first. */
export function countMatches(content: string, plan: QueryPlan): number {
  return findMatches(content, plan).length;
}

/** Checks the options of a snippet; throws TypeError or RangeError. */
export function resolveSnippetOptions(options: SnippetOptions = {}): SnippetShape {
  expectKeys("`snippet`", options, ["maxChars", "open", "close"]);
  const { maxChars = 300, open = "<mark>", close = "</mark>" } = options;
  if (!Number.isInteger(maxChars) || maxChars < 10) {
    throw new RangeError(`Expected \`maxChars\` to be an integer of at least 10, got ${maxChars}`);
  }
  for (const [name, mark] of Object.entries({ open, close })) {
    if (typeof mark !== "string") throw new TypeError(`Expected \`${name}\` to be a string, got ${mark}`);
  }
  return { maxChars, open, close };
}

/** Matches of the best kind that occurs, in order and apart from each other. */
function findMatches(content: string, { terms, needles }: QueryPlan): Match[] {
  const whole = new Set(terms.filter((term) => !term.isPrefix).map((term) => term.text));
  const beginnings = terms.filter((term) => term.isPrefix).map((term) => term.text);
  const words = findWords(content, whole, beginnings);
  if (words.length > 0) return words;
  const begun = findWords(content, new Set(), [...whole, ...beginnings]);
  return begun.length > 0 ? begun : findSubstrings(content, needles);
}

/** Words of which a term is in `whole` or starts with one of `beginnings`. */
function findWords(content: string, whole: ReadonlySet<string>, beginnings: readonly string[]): Match[] {
  const matches: Match[] = [];
  const whatMatches = (term: string): string | undefined =>
    whole.has(term) ? term : beginnings.find((beginning) => term.startsWith(beginning));
  eachOriginalWord(content, (word, start) => {
    const first = matches[0];
    if (first !== undefined && (matches.length >= MAX_MATCHES || start > first.start + MAX_CHARS_AFTER_MATCH))
      return false;
    // This runs for each word of each hit, and folding words without accents would take longer than all the rest.
    const needsNoFolding = isAscii(word);
    if (needsNoFolding || !isUnsegmented(word)) {
      const what = firstDefined(termsOfWord(needsNoFolding ? word : foldAccents(word)), whatMatches);
      if (what !== undefined) matches.push({ start, end: start + word.length, what });
      return true;
    }
    let at = start;
    for (const run of scriptRuns(word)) {
      if (isUnsegmented(run)) findPairs(run, at, whatMatches, matches);
      else {
        const what = firstDefined(termsOfWord(foldAccents(run)), whatMatches);
        if (what !== undefined) matches.push({ start: at, end: at + run.length, what });
      }
      at += run.length;
    }
    return true;
  });
  return matches;
}

/** In a run of a script without spaces the pairs themselves are marked, those that touch as one. */
function findPairs(
  run: string,
  offset: number,
  whatMatches: (term: string) => string | undefined,
  matches: Match[],
): void {
  const characters = Array.from(run);
  // Folding each pair costs more than all the rest; text of such scripts rarely needs it.
  const isFolded = foldAccents(run).toLowerCase() === run;
  let at = offset;
  for (const [i, character] of characters.entries()) {
    if (matches.length >= MAX_MATCHES) return;
    const pair = character + (characters[i + 1] ?? "");
    const what = whatMatches(isFolded ? pair : foldAccents(pair).toLowerCase());
    if (what !== undefined) {
      // A single character that is looked for begins the pair; it is not all of it.
      const end = at + (Array.from(what).length === 1 ? character.length : pair.length);
      const last = matches.at(-1);
      if (last !== undefined && at <= last.end) matches[matches.length - 1] = { ...last, end: Math.max(last.end, end) };
      else matches.push({ start: at, end, what });
    }
    at += character.length;
  }
}

function findSubstrings(content: string, needles: QueryPlan["needles"]): Match[] {
  const spellings = needles.flat().sort((a, b) => b.length - a.length);
  if (spellings.length === 0) return [];
  const pattern = new RegExp(
    spellings.map((needle) => needle.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("|"),
    "giu",
  );
  const matches: Match[] = [];
  for (const match of content.matchAll(pattern)) {
    matches.push({ start: match.index, end: match.index + match[0].length, what: match[0].toLowerCase() });
    if (matches.length >= MAX_MATCHES) break;
  }
  return matches;
}

/** The run of neighbouring matches with the most different things in it, then the most matches, that fits `room` with its marks. */
function densestWindow(content: string, matches: readonly Match[], room: number, marks: number): Match[] {
  let best: Match[] = [];
  let bestValue = 0;
  const counts = new Map<string, number>();
  let from = 0;
  matches.forEach((match, to) => {
    counts.set(match.what, (counts.get(match.what) ?? 0) + 1);
    while (from <= to && match.end - matches[from]!.start + (to - from + 1) * marks > room) {
      const what = matches[from++]!.what;
      const left = counts.get(what)! - 1;
      if (left === 0) counts.delete(what);
      else counts.set(what, left);
    }
    const value = counts.size * MAX_MATCHES + (to - from + 1);
    if (from <= to && value > bestValue) {
      bestValue = value;
      best = matches.slice(from, to + 1);
    }
  });
  const first = matches[0];
  if (best.length > 0 || first === undefined || room <= marks) return best;
  // Every match alone is too long: the beginning of the first has to do.
  return [{ ...first, end: characterEnd(content, first.start + room - marks, first.start) }];
}

/** Where to cut `content` around `window`, so that what lies between takes at most `room` with its ellipses. */
function place(content: string, window: readonly Match[], room: number): { start: number; end: number } {
  if (content.length <= room) return { start: 0, end: content.length };
  const first = window[0]?.start ?? 0;
  const last = window.at(-1)?.end ?? 0;
  const chars = room - 2 * ELLIPSIS.length;
  const spare = Math.max(0, chars - (last - first));
  let start = Math.max(0, first - Math.floor(spare * LEAD_SHARE));
  start = Math.min(start, Math.max(0, content.length - chars));
  if (start > 0) start = cutForwards(content, start, first);
  let end = Math.min(content.length, start + chars);
  if (end < content.length) end = cutBackwards(content, end, Math.max(last, start));
  return { start, end };
}

/** The first good place for a cut from `at` on, none of it past `bound`. */
function cutForwards(content: string, at: number, bound: number): number {
  for (let i = at; i < Math.min(bound, at + MAX_CUT_MOVE_CHARS); i++) if (isSpace(content, i - 1)) return i;
  let cut = at;
  while (cut < bound && isInsideCharacter(content, cut)) cut++;
  return cut;
}

function cutBackwards(content: string, at: number, bound: number): number {
  for (let i = at; i > Math.max(bound, at - MAX_CUT_MOVE_CHARS); i--) if (isSpace(content, i)) return i;
  return characterEnd(content, at, bound);
}

/** The last place up to `at`, but not before `bound`, that is not inside a character. */
function characterEnd(content: string, at: number, bound: number): number {
  let end = at;
  while (end > bound && isInsideCharacter(content, end)) end--;
  return end;
}

function isSpace(content: string, at: number): boolean {
  return content.charCodeAt(at) === 0x20 || content.charCodeAt(at) === 0x0a;
}

/** Whether a cut before `at` would part a surrogate pair, a letter and its accent, or a joined emoji. */
function isInsideCharacter(content: string, at: number): boolean {
  return JOINED_TO_PREVIOUS.test(content.slice(at, at + 2)) || content.charCodeAt(at - 1) === ZERO_WIDTH_JOINER;
}

function firstDefined<Item, Found>(items: readonly Item[], find: (item: Item) => Found | undefined): Found | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}
