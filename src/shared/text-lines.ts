import { expectation } from "./expectation.js";

/**
 * The lines of a text: the text itself, a list or iterable of lines, or a stream (of Node or the web, of bytes or text,
 * cut anywhere).
 *
 * An item of an iterable is one or more whole lines. Only in streams, and in bytes, may a line continue in the next
 * piece.
 */
export type LineSource =
  | string
  | Iterable<string | Uint8Array>
  | AsyncIterable<string | Uint8Array>
  | ReadableStream<string | Uint8Array>;

/** The lines of a source, without their line ends. Throws TypeError on other values. */
export function linesOf(source: LineSource): AsyncGenerator<string, void, undefined> {
  if (typeof source === "string") return splitLines([source], true);
  if (typeof source === "object" && source !== null && (Symbol.asyncIterator in source || Symbol.iterator in source)) {
    return splitLines(source as AsyncIterable<string | Uint8Array>, !isStream(source));
  }
  throw new TypeError(expectation("source", "a text, an iterable of lines, or a stream", source));
}

function isStream(source: object): boolean {
  return "pipe" in source || "getReader" in source;
}

async function* splitLines(
  source: Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>,
  isLines: boolean,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  for await (const piece of source) {
    const isText = typeof piece === "string";
    if (!isText && !(piece instanceof Uint8Array)) {
      throw new TypeError(expectation("source", "lines of text", piece));
    }
    const parts = (rest + (isText ? piece : decoder.decode(piece, { stream: true }))).split("\n");
    rest = isLines && isText ? "" : parts.pop()!;
    // A piece that ends with a line end is not followed by an empty line.
    if (isLines && isText && parts.length > 1 && parts.at(-1) === "") parts.pop();
    for (const part of parts) yield withoutReturn(part);
  }
  rest += decoder.decode();
  if (rest !== "") yield withoutReturn(rest);
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
