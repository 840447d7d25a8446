import { createHash } from "node:crypto";
import { stemmer } from "stemmer";
import { LruCache } from "../shared/lru-cache.js";
import { afterTurn } from "../shared/timers.js";
import { AsciiTerms } from "./ascii-terms.js";
import { baseForms } from "./base-forms.js";

/** The tokenizer of the full-text table: it splits on ASCII other than letters and digits, and keeps all else as it is. */
export const FTS_TOKENIZER = "ascii";

const SCOPE_CHARS = 3;
/** Longer words are cut to this; only the substring search sees the rest of them. */
const MAX_TERM_CHARS = 64;
/** Words per generation of the cache; about 8 MB when both generations are full of ordinary words. */
const CACHE_WORDS = 32_768;

const WORD = /[\p{L}\p{N}][\p{L}\p{N}\p{M}]*(?:['’ʼ][\p{L}\p{N}\p{M}]+)*/gu;
const ASCII_WORD = /[A-Za-z0-9]+(?:'[A-Za-z0-9]+)*/g;
const NON_ASCII = /[^\x00-\x7f]/;
/** Scripts written without spaces between words (Hangul has them, yet its words carry endings). */
const UNSEGMENTED_CLASS =
  "\\p{scx=Han}\\p{scx=Hira}\\p{scx=Kana}\\p{sc=Hang}\\p{sc=Bopo}\\p{sc=Thai}\\p{sc=Laoo}\\p{sc=Khmr}\\p{sc=Mymr}\\p{sc=Tibt}";
const UNSEGMENTED = new RegExp(`[${UNSEGMENTED_CLASS}]`, "u");
const SCRIPT_RUN = new RegExp(`[${UNSEGMENTED_CLASS}]+|[^${UNSEGMENTED_CLASS}]+`, "gu");
/** Accents of European scripts, vowel points of Hebrew and Arabic, and characters that only shape their neighbours. */
const FOLDED_AWAY =
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: the marks are meant one by one.
  /[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\u00ad\u200b-\u200d\u2060\ufeff]/g;
/** Letters that look accented but have no decomposition. */
const LETTER_FOLDS: Readonly<Record<string, string>> = {
  ß: "ss",
  ẞ: "SS",
  æ: "ae",
  Æ: "Ae",
  œ: "oe",
  Œ: "Oe",
  ø: "o",
  Ø: "O",
  ł: "l",
  Ł: "L",
  đ: "d",
  Đ: "D",
  ð: "d",
  Ð: "D",
  þ: "th",
  Þ: "Th",
  ı: "i",
  ħ: "h",
  Ħ: "H",
};
const FOLDED_LETTER = new RegExp(`[${Object.keys(LETTER_FOLDS).join("")}]`, "g");
const CAMEL_PART = /[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+/g;
const HAS_INNER_CAPITAL = /[a-z0-9][A-Z]|[A-Z][A-Z][a-z]/;
const VERSION_START = /^[vV](\d+)$/;
const ENGLISH_SUFFIX = /'(?:s|ll|re|ve|d|m)$/i;
const ELISION = /^(.{1,2})'(.+)$/s;
const ENGLISH_WORD = /^[a-z]{3,}$/;

/**
 * The index terms of `text`, in order. A search for one of its words looks for the same terms.
 *
 * - English words are stemmed, accents and case folded: "Migrations", "migrátion" and "migration" are one term.
 * - `camelCase` gives the whole and then its parts; paths, versions, snake_case and kebab-case give their parts.
 * - A run of a script without spaces gives overlapping pairs and, last, its final character alone: 数据库 gives
 *   数据 据库 库. Each character thus starts exactly one term, and a single one is found as a prefix.
 *
 * Terms hold only ASCII letters and digits and characters beyond ASCII, which is what the tokenizer keeps.
 */
export function toTerms(text: string): string[] {
  const terms: string[] = [];
  eachWord(text, (word) => {
    const own = termsOfWord(word);
    if (own.length === 1) terms.push(own[0]!);
    else for (const term of own) terms.push(term);
  });
  return terms;
}

/** The text to index for `text`: its terms, each behind the scope of its project, separated by spaces. */
export function toSearchText(text: string, scope: string): string {
  if (isAscii(text)) return asciiTerms.write(text, scope);
  let out = "";
  eachWord(text, (word) => {
    for (const term of termsOfWord(word)) out += out === "" ? scope + term : ` ${scope}${term}`;
  });
  return out;
}

/**
 * Terms as `search_text` is given them: a trigger indexes them and leaves '' in their place. So '' says that a row has no
 * terms yet, and a blank that there are none.
 */
export function toGiven(terms: string): string {
  return terms === "" ? " " : terms;
}

/** Characters whose terms are made at a time: a few ms. */
const SLICE_CHARS = 50_000;

/** Whether making the index terms of `text` at once would keep the event loop for more than a moment. */
export function isLongText(text: string): boolean {
  return text.length > SLICE_CHARS;
}

/** The same as `toSearchText`, in slices between which the event loop has its turn; after the last it has one too. */
export async function toSearchTextInSlices(text: string, scope: string): Promise<string> {
  const parts: string[] = [];
  for (let start = 0; start < text.length; ) {
    // No word and no accent goes on behind a blank of ASCII.
    const blank = /[ \t\n\r]/g;
    blank.lastIndex = start + SLICE_CHARS;
    const end = start + SLICE_CHARS < text.length ? (blank.exec(text)?.index ?? text.length) : text.length;
    const part = toSearchText(text.slice(start, end), scope);
    if (part !== "") parts.push(part);
    start = end;
    if (isLongText(text)) await new Promise<void>((resolve) => afterTurn(resolve));
  }
  return parts.join(" ");
}

/**
 * Three characters that all terms of a project start with, so that the index of one project is not read for another.
 *
 * Of a fixed width, so that no scope and term together read as another pair. Two projects may share a scope.
 */
export function searchScope(project: string): string {
  const known = scopes.get(project);
  if (known !== undefined) return known;
  const number = createHash("sha1").update(project, "utf8").digest().readUInt32BE(0);
  const scope = (number % 36 ** SCOPE_CHARS).toString(36).padStart(SCOPE_CHARS, "0");
  scopes.set(project, scope);
  return scope;
}

/** A hash costs as much as the index terms of a short text. */
const scopes = new LruCache<string>({ max: 1000 });

/** Calls `visit` with each word of `text`, folded but with its case, as `termsOfWord` takes it. */
export function eachWord(text: string, visit: (word: string) => void): void {
  eachOriginalWord(isAscii(text) ? text : foldAccents(text), (word) => {
    visit(word);
    return true;
  });
}

/** Calls `visit` with each word of `text` as it is written and where it starts, until that returns false. */
export function eachOriginalWord(text: string, visit: (word: string, start: number) => boolean): void {
  const pattern = isAscii(text) ? ASCII_WORD : WORD;
  // A new regular expression for every call would cost more than the matching.
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const end = pattern.lastIndex;
    if (!visit(match[0], match.index)) return;
    pattern.lastIndex = end;
  }
}

/** Whether `text` is of ASCII characters only. */
export function isAscii(text: string): boolean {
  return !NON_ASCII.test(text);
}

/** `word` in pieces, alternately of scripts written without spaces and of others. */
export function scriptRuns(word: string): string[] {
  return word.match(SCRIPT_RUN) ?? [];
}

/** `text` with accents and other optional marks removed and compatible characters unified; case stays. */
export function foldAccents(text: string): string {
  return text
    .normalize("NFKD")
    .replace(FOLDED_AWAY, "")
    .replace(FOLDED_LETTER, (letter) => LETTER_FOLDS[letter]!)
    .normalize("NFC");
}

/** Whether `text` has characters of a script that is written without spaces. */
export function isUnsegmented(text: string): boolean {
  return UNSEGMENTED.test(text);
}

/** The terms of one word, from the cache when it is short enough to recur. */
export function termsOfWord(word: string): readonly string[] {
  if (word.length > MAX_TERM_CHARS) return computeTerms(word);
  return cache.get(word) ?? cache.add(word);
}

/** Words seen lately and their terms: text repeats itself, and stemming costs ten times a look-up. */
class WordCache {
  #young = new Map<string, readonly string[]>();
  #old = new Map<string, readonly string[]>();

  get(word: string): readonly string[] | undefined {
    const young = this.#young.get(word);
    if (young !== undefined) return young;
    const old = this.#old.get(word);
    if (old !== undefined) this.#put(word, old);
    return old;
  }

  add(word: string): readonly string[] {
    // A key cut out of a text would keep that whole text in memory: copy it.
    const key = Buffer.from(word, "utf8").toString("utf8");
    const terms = computeTerms(key);
    this.#put(key, terms);
    return terms;
  }

  #put(word: string, terms: readonly string[]): void {
    if (this.#young.size >= CACHE_WORDS) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(word, terms);
  }
}

const cache = new WordCache();

const asciiTerms = new AsciiTerms(alphabeticTerms);

function computeTerms(word: string): string[] {
  if (isAscii(word)) return alphabeticTerms(word);
  if (!UNSEGMENTED.test(word)) return alphabeticTerms(word.replace(/[’ʼ]/g, "'"));
  const terms: string[] = [];
  for (const run of scriptRuns(word)) {
    const own = UNSEGMENTED.test(run) ? pairs(run) : alphabeticTerms(run.replace(/[’ʼ]/g, "'"));
    for (const term of own) terms.push(term);
  }
  return terms;
}

/** Overlapping pairs of characters, and the last character alone. */
function pairs(run: string): string[] {
  const characters = Array.from(run.toLowerCase());
  return characters.map((character, i) => character + (characters[i + 1] ?? ""));
}

function alphabeticTerms(word: string): string[] {
  let bare = word;
  if (word.includes("'")) {
    bare = word.replace(ENGLISH_SUFFIX, "");
    // l'été and d'accord are typed without the article as well, don't and O'Brien without the apostrophe.
    const [, , rest] = ELISION.exec(bare) ?? [];
    bare = bare.replaceAll("'", "");
    if (rest !== undefined) return [bare, rest.replaceAll("'", "")].filter(Boolean).map(fold);
  }
  if (bare === "") return [];
  const [, versionNumber] = VERSION_START.exec(bare) ?? [];
  if (versionNumber !== undefined) return [fold(bare), fold(versionNumber)];
  // Base64 and the like change case at every other letter: parts of such a word would be noise.
  if (bare.length > MAX_TERM_CHARS || !HAS_INNER_CAPITAL.test(bare) || !isAscii(bare)) return [fold(bare)];
  const parts = (bare.match(CAMEL_PART) ?? []).filter((part) => part.length > 1);
  return [fold(bare), ...parts.map(fold)];
}

/** One term: lower-cased, cut to its bound, and stemmed where it looks English. */
function fold(word: string): string {
  const lower = (word.length > MAX_TERM_CHARS ? cut(word) : word).toLowerCase();
  if (!ENGLISH_WORD.test(lower)) return lower;
  return stemmer(baseForms.get(lower) ?? lower);
}

function cut(word: string): string {
  return word.slice(0, MAX_TERM_CHARS).toWellFormed().replace("\ufffd", "");
}
