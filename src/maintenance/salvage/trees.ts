import { HEADER_BYTES, type Pages } from "./pages.js";

/** Text whose bytes are not UTF-8: reading it through SQLite would abort the process. */
export const BAD_TEXT = Symbol("text that is not UTF-8");

export type Value = null | bigint | number | string | Uint8Array | typeof BAD_TEXT;

/** One row as the tree has it; `values` is undefined where its bytes cannot be read. */
export interface TreeRow {
  /** Of a table; 0 in an index. */
  readonly rowId: bigint;
  readonly values: Value[] | undefined;
}

const INTERIOR_INDEX = 2;
const INTERIOR_TABLE = 5;
const LEAF_INDEX = 10;
const LEAF_TABLE = 13;
/** No tree of SQLite is deeper: what goes on is a circle. */
const MOST_LEVELS = 30;

/**
 * Reads b-trees of a database page by page (https://www.sqlite.org/fileformat2.html#b_tree_pages), past any damage.
 *
 * Every check is this code's own, so nothing in the bytes can abort the process or read beyond a page.
 */
export class Trees {
  readonly #pages: Pages;
  /** Pages that belong to what has been read already. */
  readonly #seen = new Set<number>();
  /** Pages that hold the rest of a long record. */
  readonly #chained = new Set<number>();
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  constructor(pages: Pages) {
    this.#pages = pages;
  }

  /** The rows below a page, in order; `onDamage` is told of each page of the tree that cannot be read. */
  *rows(root: number, onDamage: () => void, level = 0): Generator<TreeRow> {
    const page = this.#claim(root, level);
    if (page === undefined) {
      onDamage();
      return;
    }
    const start = root === 1 ? HEADER_BYTES : 0;
    const type = page[start]!;
    if (type === LEAF_TABLE || type === LEAF_INDEX) {
      yield* this.#cells(page, start, onDamage);
      return;
    }
    if (type !== INTERIOR_TABLE && type !== INTERIOR_INDEX) {
      onDamage();
      return;
    }
    for (const cell of this.#cellPlaces(page, start, 12, onDamage)) {
      if (cell + 4 > page.length) {
        onDamage();
        continue;
      }
      yield* this.rows(page.readUInt32BE(cell), onDamage, level + 1);
      // In an index, the cells between two children are entries too.
      if (type === INTERIOR_INDEX) yield this.#indexCell(page, cell + 4);
    }
    yield* this.rows(page.readUInt32BE(start + 8), onDamage, level + 1);
  }

  /** Takes the free pages out of `strayLeaves`: what they hold has been deleted. */
  skipFreePages(): void {
    const first = this.#pages.hasHeader ? this.#pages.read(1) : undefined;
    const visited = new Set<number>();
    for (let trunk = first?.readUInt32BE(32) ?? 0; trunk > 0 && !visited.has(trunk); ) {
      visited.add(trunk);
      this.#seen.add(trunk);
      const page = trunk <= this.#pages.pageCount ? this.#pages.read(trunk) : undefined;
      if (page === undefined) return;
      const count = Math.min(page.readUInt32BE(4), this.#pages.usableSize / 4 - 2);
      for (let at = 0; at < count; at++) this.#seen.add(page.readUInt32BE(8 + at * 4));
      trunk = page.readUInt32BE(0);
    }
  }

  /** Leaves of tables that no tree has led to, each with its rows: their parents are lost. */
  *strayLeaves(): Generator<{ readonly number: number; readonly rows: readonly TreeRow[] }> {
    for (let number = 1; number <= this.#pages.pageCount; number++) {
      if (this.#seen.has(number) || this.#chained.has(number)) continue;
      const page = this.#pages.read(number);
      if (page === undefined) continue;
      const start = number === 1 ? HEADER_BYTES : 0;
      if (page[start] !== LEAF_TABLE) continue;
      let isWhole = true;
      const rows = [
        ...this.#cells(page, start, () => {
          isWhole = false;
        }),
      ];
      // Bytes of another kind of page may look like a leaf's at first.
      if (isWhole && rows.length > 0) yield { number, rows };
    }
  }

  /** Takes a stray leaf as part of a table. */
  keep(number: number): void {
    this.#seen.add(number);
  }

  #claim(number: number, level: number): Buffer | undefined {
    if (level > MOST_LEVELS || number < 1 || number > this.#pages.pageCount || this.#seen.has(number)) return undefined;
    this.#seen.add(number);
    return this.#pages.read(number);
  }

  *#cells(page: Buffer, start: number, onDamage: () => void): Generator<TreeRow> {
    const isTable = page[start] === LEAF_TABLE;
    for (const cell of this.#cellPlaces(page, start, 8, onDamage)) {
      yield isTable ? this.#tableCell(page, cell) : this.#indexCell(page, cell);
    }
  }

  #cellPlaces(page: Buffer, start: number, headerBytes: number, onDamage: () => void): number[] {
    const count = page.readUInt16BE(start + 3);
    const first = start + headerBytes;
    const end = first + count * 2;
    if (end > this.#pages.usableSize) {
      onDamage();
      return [];
    }
    const places = Array.from({ length: count }, (_, at) => page.readUInt16BE(first + at * 2));
    const sound = places.filter((place) => place >= end && place < this.#pages.usableSize);
    if (sound.length < places.length) onDamage();
    return sound;
  }

  #tableCell(page: Buffer, cell: number): TreeRow {
    const size = varint(page, cell);
    const rowId = varint(page, size.end);
    return {
      rowId: BigInt.asIntN(64, BigInt(rowId.value)),
      values: this.#record(page, rowId.end, Number(size.value), true),
    };
  }

  #indexCell(page: Buffer, cell: number): TreeRow {
    const size = varint(page, cell);
    return { rowId: 0n, values: this.#record(page, size.end, Number(size.value), false) };
  }

  #record(page: Buffer, at: number, size: number, isTable: boolean): Value[] | undefined {
    const payload = this.#payload(page, at, size, isTable);
    return payload === undefined ? undefined : this.#values(payload);
  }

  /** The bytes of a record: those on its page, and those that follow in a chain of pages. */
  #payload(page: Buffer, at: number, size: number, isTable: boolean): Buffer | undefined {
    const { usableSize: usable, pageCount } = this.#pages;
    if (size <= 0 || size > usable * pageCount) return undefined;
    const most = isTable ? usable - 35 : Math.floor(((usable - 12) * 64) / 255) - 23;
    if (size <= most) return at + size <= usable ? page.subarray(at, at + size) : undefined;
    const least = Math.floor(((usable - 12) * 32) / 255) - 23;
    const surplus = least + ((size - least) % (usable - 4));
    const local = surplus <= most ? surplus : least;
    if (at + local + 4 > usable) return undefined;
    const parts = [page.subarray(at, at + local)];
    const chain: number[] = [];
    let left = size - local;
    for (let next = page.readUInt32BE(at + local); left > 0; ) {
      if (next < 1 || next > pageCount) return undefined;
      const part = this.#pages.read(next);
      if (part === undefined) return undefined;
      chain.push(next);
      const bytes = Math.min(left, usable - 4);
      parts.push(part.subarray(4, 4 + bytes));
      left -= bytes;
      next = part.readUInt32BE(0);
    }
    for (const number of chain) this.#chained.add(number);
    return Buffer.concat(parts);
  }

  #values(payload: Buffer): Value[] | undefined {
    const header = varint(payload, 0);
    const headerEnd = Number(header.value);
    if (headerEnd < 1 || headerEnd > payload.length) return undefined;
    const values: Value[] = [];
    let at = headerEnd;
    for (let place = header.end; place < headerEnd; ) {
      const { value, end } = varint(payload, place);
      place = end;
      const type = Number(value);
      const bytes = sizeOfType(type);
      if (bytes === undefined || at + bytes > payload.length) return undefined;
      values.push(this.#value(payload.subarray(at, at + bytes), type));
      at += bytes;
    }
    return at === payload.length ? values : undefined;
  }

  #value(bytes: Buffer, type: number): Value {
    if (type === 0) return null;
    if (type === 8) return 0n;
    if (type === 9) return 1n;
    if (type === 7) return bytes.readDoubleBE(0);
    if (type < 7) return BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString("hex")}`));
    if (type % 2 === 0) return new Uint8Array(bytes);
    try {
      return this.#decoder.decode(bytes);
    } catch {
      return BAD_TEXT;
    }
  }
}

function sizeOfType(type: number): number | undefined {
  if (type < 0 || type === 10 || type === 11) return undefined;
  if (type < 10) return [0, 1, 2, 3, 4, 6, 8, 8, 0, 0][type];
  return (type - (type % 2 === 0 ? 12 : 13)) / 2;
}

/** SQLite's variable-length integer: 1 to 9 bytes, the highest bit of each saying whether there is another. */
function varint(bytes: Buffer, at: number): { readonly value: number | bigint; readonly end: number } {
  let value = 0;
  for (let place = at; place < at + 7; place++) {
    const byte = bytes[place] ?? 0;
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return { value, end: place + 1 };
  }
  const eighth = bytes[at + 7] ?? 0;
  const long = (BigInt(value) << 7n) | BigInt(eighth & 0x7f);
  if (eighth < 0x80) return { value: long, end: at + 8 };
  return { value: (long << 8n) | BigInt(bytes[at + 8] ?? 0), end: at + 9 };
}
