import { Readable } from "node:stream";
import { TextDecoder } from "node:util";
import { StorageError } from "./errors.js";

/** Longest line that is read, in characters: a file without line ends must not fill the memory. */
const MAX_LINE_CHARS = 256 * 1024 * 1024;

/** The whole text, or anything that gives text or UTF-8 in pieces. */
export type TextSource = AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array> | string;

/**
 * The lines of a text: the text itself, a list or iterable of lines, or a stream (of Node or the web, of bytes or text,
 * cut anywhere).
 *
 * An item of an iterable is one or more whole lines. Only in streams, and in bytes, may a line continue in the next
 * piece.
 */
export type LineSource = TextSource | ReadableStream<string | Uint8Array>;

export interface LineOptions {
  readonly signal?: AbortSignal | undefined;
  /** Whether a text that an iterable gives ends its last line, as in a `LineSource`. @default false */
  readonly endsLines?: boolean;
}

/**
 * The lines of a text, trimmed, with their numbers from 1; blank ones are left out. Throws `INVALID_IMPORT` on bytes that
 * are not UTF-8 and on an endless line, TypeError where the source gives anything but text and bytes.
 */
export async function* numberedLines(
  source: TextSource,
  { signal, endsLines = false }: LineOptions = {},
): AsyncGenerator<readonly [number: number, line: string], void, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let number = 0;
  let rest = "";
  const decode = (piece: string | Uint8Array): string => {
    if (typeof piece === "string") return endsLines && !piece.endsWith("\n") ? `${piece}\n` : piece;
    if (!(piece instanceof Uint8Array)) throw new TypeError("Expected the stream to give strings or bytes");
    return decodeWith(decoder, piece, number + 1);
  };
  const pieces = typeof source === "string" ? [source] : signal === undefined ? source : abortable(source, signal);
  for await (const piece of pieces) {
    const lines = (rest + decode(piece)).split("\n");
    rest = lines.pop()!;
    if (rest.length > MAX_LINE_CHARS) throw tooLong(number + lines.length + 1);
    for (const line of lines) {
      number++;
      const text = clean(line, number);
      if (text !== "") yield [number, text];
    }
  }
  rest += decodeWith(decoder, undefined, number + 1);
  const last = clean(rest, number + 1);
  if (last !== "") yield [number + 1, last];
}

/**
 * Keeps a failure of a stream of Node from ending the process until it is read, which then reports it. Call it before
 * anything is awaited: a file that is missing fails on the next turn of the event loop.
 */
export function expectFailure(source: unknown): void {
  // Not removed: the call may reject before it reads the stream, and the stream may fail after that.
  if (source instanceof Readable) source.on("error", () => undefined);
}

export function isTextSource(source: unknown): source is TextSource {
  if (typeof source === "string") return true;
  return typeof source === "object" && source !== null && (Symbol.asyncIterator in source || Symbol.iterator in source);
}

function decodeWith(decoder: TextDecoder, piece: Uint8Array | undefined, line: number): string {
  try {
    return piece === undefined ? decoder.decode() : decoder.decode(piece, { stream: true });
  } catch (cause) {
    throw new StorageError("INVALID_IMPORT", `Line ${line} or one soon after it is not UTF-8. Export again`, {
      cause,
      line,
    });
  }
}

function clean(line: string, number: number): string {
  const text = number === 1 ? line.replace(/^\uFEFF/, "") : line;
  return text.trim();
}

function tooLong(line: number): StorageError {
  return new StorageError("INVALID_IMPORT", `Line ${line} is longer than ${MAX_LINE_CHARS} characters`, { line });
}

/** The same pieces; an abort ends the wait for the next one, and the stream that gives none. */
async function* abortable<T>(source: AsyncIterable<T> | Iterable<T>, signal: AbortSignal) {
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason);
  });
  // The iterator may not be waiting at that moment.
  aborted.catch(() => undefined);
  signal.addEventListener("abort", onAbort);
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  let isDone = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await Promise.race([iterator.next(), aborted]);
      isDone = next.done === true;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    if (!isDone) {
      // One that waits for its next piece would answer `return` only after it.
      if (source instanceof Readable) source.destroy();
      else void Promise.resolve(iterator.return?.()).catch(() => undefined);
    }
  }
}
