import { HEADER_BYTES, type Pages } from "./pages.js";

/** Stands for text that is not UTF-8, which SQLite could not return without aborting the process. */
export const BAD_TEXT = Symbol("text that is not UTF-8");

export type Value = null | bigint | number | string | Uint8Array | typeof BAD_TEXT;

/** A row of a tree; `values` is undefined if its bytes cannot be read. */
export interface TreeRow {
  /** Of a table; 0 in an index. */
  readonly rowId: bigint;
  readonly values: Value[] | undefined;
  /** Whether the row certainly existed: its page, or at least its own bytes, are sound. Its values may be damaged. */
  readonly isSure: boolean;
}

const INTERIOR_INDEX = 2;
const INTERIOR_TABLE = 5;
const LEAF_INDEX = 10;
const LEAF_TABLE = 13;
/** No tree of SQLite is deeper, so a deeper one is a circle. */
const MOST_LEVELS = 30;

/** The keys between which those of a page are; undefined if there is no limit, or it cannot be read. */
interface Range {
  readonly from: readonly Value[] | undefined;
  readonly to: readonly Value[] | undefined;
}

/** Whether a cell existed: certainly, if it can be read, or unknown. */
type Sureness = "yes" | "if read" | "no";

interface Layout {
  readonly places: number[];
  readonly isSure: (place: number) => Sureness;
}

/** Where something on a page begins and ends. */
type Part = readonly [from: number, to: number];

const WHOLE_RANGE: Range = { from: undefined, to: undefined };

/**
 * Reads b-trees of a database page by page (https://www.sqlite.org/fileformat2.html#b_tree_pages), past any damage.
 *
 * This code checks everything itself, so no bytes can abort the process or make it read beyond a page.
 */
export class Trees {
  readonly #pages: Pages;
  /** Pages of the free list, which hold only deleted rows. */
  readonly #free = new Set<number>();
  /** Pages that were read already. */
  readonly #seen = new Set<number>();
  /** Pages that hold the rest of a long record. */
  readonly #chained = new Set<number>();
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  constructor(pages: Pages) {
    this.#pages = pages;
  }

  /**
   * The rows of a table, or the entries of an index, in order; `onDamage` is called for each damaged page.
   *
   * If most keys of a leaf are outside the range of its parent, the leaf belongs to another tree. `between` is undefined if
   * the order of the keys is unknown.
   */
  *rows(
    root: number,
    kind: "table" | "index",
    onDamage: () => void,
    { between }: { readonly between?: Range | undefined } = { between: WHOLE_RANGE },
    level = 0,
  ): Generator<TreeRow> {
    const page = this.#claim(root, level);
    if (page === undefined) {
      onDamage();
      return;
    }
    const start = root === 1 ? HEADER_BYTES : 0;
    const type = page[start]!;
    const isTable = kind === "table";
    if (type === (isTable ? LEAF_TABLE : LEAF_INDEX)) {
      const rows = [...this.#cells(page, start, onDamage)];
      const inside = between === undefined ? rows : rows.filter((row) => isIn(between, keyOf(row, kind)));
      const isSure = inside.length * 2 >= rows.length;
      if (!isSure) onDamage();
      yield* isSure ? rows : rows.map((row) => ({ ...row, isSure }));
      return;
    }
    if (type !== (isTable ? INTERIOR_TABLE : INTERIOR_INDEX)) {
      onDamage();
      return;
    }
    const { places, isSure } = this.#layout(page, start, onDamage);
    let { from } = between ?? WHOLE_RANGE;
    for (const cell of places) {
      const entry = isTable ? undefined : this.#indexCell(page, cell + 4, isSure(cell));
      const to = entry === undefined ? [BigInt(varint(page, cell + 4).value)] : entry.values;
      yield* this.rows(page.readUInt32BE(cell), kind, onDamage, { between: between && { from, to } }, level + 1);
      // In an index, the cells between two children are entries too.
      if (entry !== undefined) yield entry;
      from = to;
    }
    yield* this.rows(
      page.readUInt32BE(start + 8),
      kind,
      onDamage,
      { between: between && { from, to: between.to } },
      level + 1,
    );
  }

  /** Excludes the free pages from `strayLeaves`: their rows have been deleted. */
  skipFreePages(): void {
    const first = this.#pages.hasHeader ? this.#pages.read(1) : undefined;
    const visited = new Set<number>();
    for (let trunk = first?.readUInt32BE(32) ?? 0; trunk > 0 && !visited.has(trunk); ) {
      visited.add(trunk);
      this.#free.add(trunk);
      const page = trunk <= this.#pages.pageCount ? this.#pages.read(trunk) : undefined;
      if (page === undefined) return;
      const count = Math.min(page.readUInt32BE(4), this.#pages.usableSize / 4 - 2);
      for (let at = 0; at < count; at++) this.#free.add(page.readUInt32BE(8 + at * 4));
      trunk = page.readUInt32BE(0);
    }
  }

  /** The leaves of tables that no tree led to, with their rows: their parents are lost. */
  *strayLeaves(): Generator<{ readonly number: number; readonly rows: readonly TreeRow[] }> {
    for (let number = 1; number <= this.#pages.pageCount; number++) {
      if (this.#seen.has(number) || this.#free.has(number) || this.#chained.has(number)) continue;
      const page = this.#pages.read(number);
      if (page === undefined) continue;
      const start = number === 1 ? HEADER_BYTES : 0;
      if (page[start] !== LEAF_TABLE) continue;
      const rows = [...this.#cells(page, start, () => undefined)];
      if (rows.some(({ values }) => values !== undefined)) yield { number, rows };
    }
  }

  /** Marks a stray leaf as part of a table. */
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
    const { places, isSure } = this.#layout(page, start, onDamage);
    for (const cell of places) {
      yield isTable ? this.#tableCell(page, cell, isSure(cell)) : this.#indexCell(page, cell, isSure(cell));
    }
  }

  /**
   * Where the cells of a page begin, and which of them certainly existed: all cells of a sound page, otherwise those that
   * can be read and overlap no other.
   */
  #layout(page: Buffer, start: number, onDamage: () => void): Layout {
    const { usableSize: usable } = this.#pages;
    const type = page[start]!;
    const count = page.readUInt16BE(start + 3);
    const first = start + (type < LEAF_INDEX ? 12 : 8);
    const end = first + count * 2;
    if (end > usable) {
      onDamage();
      return { places: [], isSure: () => "no" };
    }
    const all = Array.from({ length: count }, (_, at) => page.readUInt16BE(first + at * 2));
    const places = all.filter((place) => place >= end && place + 4 <= usable);
    const cells = places.map((place): Part => [place, place + this.#cellSize(page, type, place)]).sort(byPlace);
    if (places.length === count && this.#isFilled(page, start, end, cells)) return { places, isSure: () => "yes" };
    onDamage();
    const apart = cells.filter(
      ([from, to], at) => to <= (cells[at + 1]?.[0] ?? usable) && from >= (cells[at - 1]?.[1] ?? end),
    );
    const known = new Set(apart.map(([place]) => place));
    return { places, isSure: (place) => (known.has(place) ? "if read" : "no") };
  }

  /** The test of SQLite's integrity_check: no overlap, and no more bytes in between than are counted. */
  #isFilled(page: Buffer, start: number, headerEnd: number, cells: readonly Part[]): boolean {
    const { usableSize: usable } = this.#pages;
    const parts = [...cells];
    for (let free = page.readUInt16BE(start + 1); free > 0; free = page.readUInt16BE(free)) {
      if (free + 4 > usable || parts.length > usable) return false;
      parts.push([free, free + page.readUInt16BE(free + 2)]);
    }
    let at = page.readUInt16BE(start + 5) || 65_536;
    if (at < headerEnd) return false;
    let fragments = 0;
    for (const [from, to] of parts.sort(byPlace)) {
      if (from < at) return false;
      fragments += from - at;
      at = to;
    }
    return at <= usable && fragments + usable - at === page[start + 7];
  }

  #cellSize(page: Buffer, type: number, place: number): number {
    const at = type < LEAF_INDEX ? place + 4 : place;
    const first = varint(page, at);
    if (type === INTERIOR_TABLE) return Math.max(first.end - place, 4);
    const end = type === LEAF_TABLE ? varint(page, first.end).end : first.end;
    const size = Number(first.value);
    const { local, isLong } = this.#localBytes(size, type === LEAF_TABLE);
    return Math.max(end + local + (isLong ? 4 : 0) - place, 4);
  }

  /** How many bytes of a record are on its own page. */
  #localBytes(size: number, isTable: boolean): { readonly local: number; readonly isLong: boolean } {
    const { usableSize: usable } = this.#pages;
    const most = isTable ? usable - 35 : Math.floor(((usable - 12) * 64) / 255) - 23;
    if (size <= most) return { local: size, isLong: false };
    const least = Math.floor(((usable - 12) * 32) / 255) - 23;
    const surplus = least + ((size - least) % (usable - 4));
    return { local: surplus <= most ? surplus : least, isLong: true };
  }

  #tableCell(page: Buffer, cell: number, sure: Sureness): TreeRow {
    const size = varint(page, cell);
    const rowId = varint(page, size.end);
    const values = this.#record(page, rowId.end, Number(size.value), true);
    return { rowId: BigInt.asIntN(64, BigInt(rowId.value)), values, isSure: isCertain(sure, values) };
  }

  #indexCell(page: Buffer, cell: number, sure: Sureness): TreeRow {
    const size = varint(page, cell);
    const values = this.#record(page, size.end, Number(size.value), false);
    return { rowId: 0n, values, isSure: isCertain(sure, values) };
  }

  #record(page: Buffer, at: number, size: number, isTable: boolean): Value[] | undefined {
    const payload = this.#payload(page, at, size, isTable);
    return payload === undefined ? undefined : this.#values(payload);
  }

  /** The bytes of a record: those on its page, and those that follow in a chain of pages. */
  #payload(page: Buffer, at: number, size: number, isTable: boolean): Buffer | undefined {
    const { usableSize: usable, pageCount } = this.#pages;
    if (size <= 0 || size > usable * pageCount) return undefined;
    const { local, isLong } = this.#localBytes(size, isTable);
    if (!isLong) return at + size <= usable ? page.subarray(at, at + size) : undefined;
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

function byPlace([a]: Part, [b]: Part): number {
  return a - b;
}

function isCertain(sure: Sureness, values: unknown): boolean {
  return sure === "yes" || (sure === "if read" && values !== undefined);
}

function keyOf({ rowId, values }: TreeRow, kind: "table" | "index"): readonly Value[] | undefined {
  return kind === "table" ? [rowId] : values;
}

function isIn({ from, to }: Range, key: readonly Value[] | undefined): boolean {
  if (key === undefined) return false;
  return (from === undefined || compare(from, key) <= 0) && (to === undefined || compare(key, to) <= 0);
}

/** By SQLite's order of values: null, numbers, texts, blobs. */
function compare(a: readonly Value[], b: readonly Value[]): number {
  for (const [at, left] of a.entries()) {
    const right = b[at];
    if (right === undefined || left === right) continue;
    const [x, y] = [rank(left), rank(right)];
    if (x !== y) return x - y;
    if (left instanceof Uint8Array && right instanceof Uint8Array) {
      const order = Buffer.compare(left, right);
      if (order !== 0) return order;
    } else if (typeof left !== "symbol" && typeof right !== "symbol") {
      return left! < right! ? -1 : 1;
    }
  }
  return 0;
}

function rank(value: Value): number {
  if (value === null) return 0;
  if (typeof value === "bigint" || typeof value === "number") return 1;
  return value instanceof Uint8Array ? 3 : 2;
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
