import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Progress } from "../shared/long-call.js";
import { ProgressBar } from "./progress-bar.js";
import { type Part, paint, type Style, usesColor } from "./style.js";
import type { Cell, TableShape } from "./table.js";
import { toLine } from "./text.js";

/** The width of a terminal that does not report its own. */
const DEFAULT_COLUMNS = 80;

type ToTable = (head: readonly string[], rows: readonly (readonly Cell[])[], shape: TableShape) => string;

/** Writes the answer of a command: one JSON document, tables for a terminal, or plain lines. */
export class Output {
  readonly isJson: boolean;
  readonly #isColored = usesColor(process.stdout);
  readonly #toTable: ToTable | undefined;
  #bar: ProgressBar | undefined;

  private constructor(isJson: boolean, toTable: ToTable | undefined) {
    this.isJson = isJson;
    this.#toTable = toTable;
  }

  /** Loads what the widths of a table need, if standard output is a terminal. */
  static async open(isJson: boolean): Promise<Output> {
    const isTable = !isJson && process.stdout.isTTY;
    return new Output(isJson, isTable ? (await import("./table.js")).toTable : undefined);
  }

  /** The columns of the terminal; undefined if the output goes elsewhere and has no width. */
  get columns(): number | undefined {
    // A terminal may report 0.
    return this.#toTable === undefined ? undefined : process.stdout.columns || DEFAULT_COLUMNS;
  }

  /** Writes `document` with `--json`, and otherwise calls `show`. */
  result(document: unknown, show: () => void): void {
    this.end();
    if (this.isJson) process.stdout.write(`${JSON.stringify(document, toJson, 2)}\n`);
    else show();
  }

  /** Writes a line, or the parts of one. */
  line(content: Cell, style?: Style): void {
    const parts = typeof content === "string" ? [{ text: content, style }] : content;
    process.stdout.write(`${this.#plain(parts)}\n`);
  }

  /** Writes rows under their names on a terminal, and elsewhere one line each with tabs, for other programs. */
  table(head: readonly string[], rows: readonly (readonly Cell[])[]): void {
    const { columns } = this;
    if (this.#toTable !== undefined && columns !== undefined) {
      process.stdout.write(`${this.#toTable(head, rows, { columns, isColored: this.#isColored })}\n`);
      return;
    }
    for (const row of rows) {
      const cells = row.map((cell) => this.#plain(typeof cell === "string" ? [{ text: cell }] : cell));
      process.stdout.write(`${cells.join("\t")}\n`);
    }
  }

  /** Writes text that another program reads, as it is. */
  async stream(source: AsyncIterable<string> | Readable): Promise<void> {
    await pipeline(source, process.stdout, { end: false });
  }

  /** Writes a note to standard error, where it does not become part of a document. */
  note(text: string): void {
    this.end();
    process.stderr.write(`${toLine(text)}\n`);
  }

  /** Shows a bar, if standard error is a terminal. */
  progress(progress: Progress): void {
    if (this.isJson || !process.stderr.isTTY || process.env.TERM === "dumb") return;
    this.#bar ??= new ProgressBar(process.stderr);
    this.#bar.show(progress);
  }

  /** Removes the bar. */
  end(): void {
    this.#bar?.end();
  }

  #plain(parts: readonly Part[]): string {
    return parts.map(({ text, style }) => paint({ text: toLine(text), style }, this.#isColored)).join("");
  }
}

/** Writes a vector as an array, not as an object with a thousand keys. */
function toJson(_key: string, value: unknown): unknown {
  return value instanceof Float32Array ? Array.from(value) : value;
}
