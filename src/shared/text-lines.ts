import { expectation } from "./expectation.js";

/**
 * A text; a list or iterable of lines; or a stream: of Node or of the web, of bytes or text cut anywhere.
 *
 * What an iterable gives is one line or several; only of a stream, and of bytes, a line may go on in the next piece.
 */
export type LineSource =
  | string
  | Iterable<string | Uint8Array>
  | AsyncIterable<string | Uint8Array>
  | ReadableStream<string | Uint8Array>;

/** The lines of a source, without their ends; throws TypeError on anything else. */
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
    // A line that has its end with it is not followed by an empty one.
    if (isLines && isText && parts.length > 1 && parts.at(-1) === "") parts.pop();
    for (const part of parts) yield withoutReturn(part);
  }
  rest += decoder.decode();
  if (rest !== "") yield withoutReturn(rest);
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
