import { SingleBar } from "cli-progress";
import type { Progress } from "../shared/long-call.js";
import { toLine, toTable } from "./text.js";

/** Writes the answer of a command: one JSON document, tables for a terminal, or plain lines. */
export class Output {
  readonly isJson: boolean;
  #bar: SingleBar | undefined;
  #phase: string | undefined;

  constructor(isJson: boolean) {
    this.isJson = isJson;
  }

  /** Writes `document` with `--json`, and otherwise calls `show`. */
  result(document: unknown, show: () => void): void {
    this.end();
    if (this.isJson) process.stdout.write(`${JSON.stringify(document, toJson, 2)}\n`);
    else show();
  }

  line(text: string): void {
    process.stdout.write(`${toLine(text)}\n`);
  }

  /** Writes rows under their names on a terminal, and elsewhere one line each with tabs, for other programs. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): void {
    if (process.stdout.isTTY) process.stdout.write(`${toTable(head, rows, process.stdout.columns)}\n`);
    else for (const row of rows) process.stdout.write(`${row.map(toLine).join("\t")}\n`);
  }

  /** Writes a note to standard error, where it does not become part of a document. */
  note(text: string): void {
    this.end();
    process.stderr.write(`${toLine(text)}\n`);
  }

  /** Shows a bar, if standard error is a terminal. */
  progress({ phase, done, total }: Progress): void {
    if (this.isJson || !process.stderr.isTTY) return;
    if (this.#phase !== phase) {
      this.end();
      this.#phase = phase;
      this.#bar = new SingleBar({
        format: `${phase} {bar} {percentage}%`,
        barCompleteChar: "█",
        barIncompleteChar: "░",
        hideCursor: true,
        stream: process.stderr,
      });
      this.#bar.start(total, done);
    }
    this.#bar?.setTotal(Math.max(1, total));
    this.#bar?.update(done);
  }

  /** Removes the bar. */
  end(): void {
    this.#bar?.stop();
    this.#bar = undefined;
    this.#phase = undefined;
  }
}

/** Writes a vector as an array, not as an object with a thousand keys. */
function toJson(_key: string, value: unknown): unknown {
  return value instanceof Float32Array ? Array.from(value) : value;
}
