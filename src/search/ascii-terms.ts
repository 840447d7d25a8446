/** Words kept until all are forgotten; text repeats itself, so few are missed. */
const MAX_WORDS = 32_768;
/** Twice the words and a power of two: probes stay short, and a hash becomes a place by its bits. */
const SLOTS = 65_536;
/** Of a slot: the word's hash, where its bytes start, how many they are, and how many those of its terms. */
const FIELDS = 4;
const ARENA_BYTES = 1 << 20;
const MAX_WORD_CHARS = 64;
const INITIAL_BYTES = 4_096;
/** A longer text gets a buffer for itself alone. */
const KEPT_BYTES = 1 << 18;
const SPACE = 0x20;
const APOSTROPHE = 0x27;

const LETTER_V = 0x76;

const DIGIT = 1;
const LOWER = 2;
const UPPER = 4;
const INNER_APOSTROPHE = 8;
/** The kind of each ASCII character; 0 for those between words. */
const KINDS = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  return /[0-9]/.test(character) ? DIGIT : /[a-z]/.test(character) ? LOWER : /[A-Z]/.test(character) ? UPPER : 0;
});

/**
 * Writes the terms of ASCII texts, with those of each word kept by the bytes of the word.
 *
 * A Map would need each word as its own string, and would join the result from pieces. That took four times as long,
 * which was most of the time of storing a short text.
 */
export class AsciiTerms {
  readonly #termsOf: (word: string) => readonly string[];
  readonly #slots = new Int32Array(SLOTS * FIELDS);
  readonly #arena = Buffer.allocUnsafe(ARENA_BYTES);
  #used = 0;
  #words = 0;
  #text = Buffer.allocUnsafe(INITIAL_BYTES);
  #out = Buffer.allocUnsafe(INITIAL_BYTES);

  /** `termsOf` gives the terms of an ASCII word, ASCII too. */
  constructor(termsOf: (word: string) => readonly string[]) {
    this.#termsOf = termsOf;
  }

  /** The terms of a text's words, each behind `scope`, separated by spaces. All of it must be ASCII. */
  write(text: string, scope: string): string {
    if (this.#text.length < text.length) this.#text = Buffer.allocUnsafe(text.length * 2);
    // A byte of a buffer is read several times faster than a character of a string.
    const bytes = this.#text;
    const length = bytes.write(text, "latin1");
    const scopeBytes = Buffer.from(scope, "latin1");
    let written = 0;
    for (let at = 0; at < length; at++) {
      if (KINDS[bytes[at]!] === 0) continue;
      const start = at;
      let kinds = 0;
      // FNV-1a
      let hash = 0x811c9dc5;
      for (; at < length; at++) {
        const code = bytes[at]!;
        let kind = KINDS[code]!;
        // As in "don't": between letters it belongs to the word.
        if (code === APOSTROPHE && at + 1 < length && KINDS[bytes[at + 1]!] !== 0) kind = INNER_APOSTROPHE;
        if (kind === 0) break;
        kinds |= kind;
        hash = Math.imul(hash ^ code, 0x01000193);
      }
      written = this.#append(written, start, at, kinds, hash, scopeBytes);
    }
    const terms = written === 0 ? "" : this.#out.toString("latin1", 1, written);
    if (Math.max(this.#out.length, this.#text.length) > KEPT_BYTES) {
      this.#text = Buffer.allocUnsafe(INITIAL_BYTES);
      this.#out = Buffer.allocUnsafe(INITIAL_BYTES);
    }
    return terms;
  }

  /** Writes the terms of the word from `start` to `end`, each behind a space and the scope. */
  #append(written: number, start: number, end: number, kinds: number, hash: number, scope: Uint8Array): number {
    // Numbers, hashes and ids rarely come twice, and are their own term; v12 has one more.
    const isOwnTerm = kinds === DIGIT || (kinds === (DIGIT | LOWER) && this.#text[start] !== LETTER_V);
    if (isOwnTerm && end - start <= MAX_WORD_CHARS) return this.#copyWord(written, start, end, scope);
    if (end - start > MAX_WORD_CHARS) {
      const terms = Buffer.from(this.#termsIn(start, end), "latin1");
      return this.#copy(written, terms, 0, terms.length, scope);
    }
    const slot = this.#find(start, end, hash) ?? this.#add(start, end, hash);
    const terms = this.#slots[slot + 1]! + this.#slots[slot + 2]!;
    return this.#copy(written, this.#arena, terms, terms + this.#slots[slot + 3]!, scope);
  }

  #copyWord(written: number, start: number, end: number, scope: Uint8Array): number {
    this.#reserve(written, 1 + scope.length + end - start);
    const out = this.#out;
    let to = written;
    out[to++] = SPACE;
    for (let index = 0; index < scope.length; index++) out[to++] = scope[index]!;
    for (let from = start; from < end; from++) out[to++] = this.#text[from]!;
    return to;
  }

  #find(start: number, end: number, hash: number): number | undefined {
    const slots = this.#slots;
    const arena = this.#arena;
    const text = this.#text;
    const length = end - start;
    for (let slot = slotOf(hash); slots[slot + 2] !== 0; slot = nextSlot(slot)) {
      if (slots[slot] !== hash || slots[slot + 2] !== length) continue;
      const word = slots[slot + 1]!;
      let same = 0;
      while (same < length && arena[word + same] === text[start + same]) same++;
      if (same === length) return slot;
    }
    return undefined;
  }

  #add(start: number, end: number, hash: number): number {
    const terms = this.#termsIn(start, end);
    const wordLength = end - start;
    if (this.#words === MAX_WORDS || this.#used + wordLength + terms.length > ARENA_BYTES) {
      this.#slots.fill(0);
      this.#used = 0;
      this.#words = 0;
    }
    let slot = slotOf(hash);
    while (this.#slots[slot + 2] !== 0) slot = nextSlot(slot);
    this.#slots[slot] = hash;
    this.#slots[slot + 1] = this.#used;
    this.#slots[slot + 2] = wordLength;
    this.#slots[slot + 3] = terms.length;
    this.#used += this.#text.copy(this.#arena, this.#used, start, end);
    this.#used += this.#arena.write(terms, this.#used, "latin1");
    this.#words++;
    return slot;
  }

  /** The terms of a word, each behind a space. */
  #termsIn(start: number, end: number): string {
    let terms = "";
    for (const term of this.#termsOf(this.#text.toString("latin1", start, end))) terms += ` ${term}`;
    return terms;
  }

  /** Copies terms to the end of what is written, with the scope behind each space; gives the new end. */
  #copy(written: number, terms: Uint8Array, start: number, end: number, scope: Uint8Array): number {
    this.#reserve(written, (end - start) * (1 + scope.length));
    const out = this.#out;
    let to = written;
    for (let from = start; from < end; from++) {
      const byte = terms[from]!;
      out[to++] = byte;
      if (byte === SPACE) for (let index = 0; index < scope.length; index++) out[to++] = scope[index]!;
    }
    return to;
  }

  #reserve(written: number, more: number): void {
    if (written + more <= this.#out.length) return;
    const larger = Buffer.allocUnsafe((written + more) * 2);
    this.#out.copy(larger, 0, 0, written);
    this.#out = larger;
  }
}

function slotOf(hash: number): number {
  return ((hash ^ (hash >>> 15)) & (SLOTS - 1)) * FIELDS;
}

function nextSlot(slot: number): number {
  return (slot + FIELDS) % (SLOTS * FIELDS);
}
