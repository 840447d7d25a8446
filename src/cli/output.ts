import { SingleBar } from "cli-progress";
import type { Progress } from "../shared/long-call.js";
import { toLine, toTable } from "./text.js";

/** Where a command's answer goes: one JSON document, tables for a terminal, or plain lines. */
export class Output {
  readonly isJson: boolean;
  #bar: SingleBar | undefined;
  #phase: string | undefined;

  constructor(isJson: boolean) {
    this.isJson = isJson;
  }

  /** The answer: `document` with `--json`, else what `show` writes. */
  result(document: unknown, show: () => void): void {
    this.end();
    if (this.isJson) process.stdout.write(`${JSON.stringify(document, toJson, 2)}\n`);
    else show();
  }

  line(text: string): void {
    process.stdout.write(`${toLine(text)}\n`);
  }

  /** Rows with their names on a terminal; elsewhere one line each, with tabs between, for other programs. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): void {
    if (process.stdout.isTTY) process.stdout.write(`${toTable(head, rows, process.stdout.columns)}\n`);
    else for (const row of rows) process.stdout.write(`${row.map(toLine).join("\t")}\n`);
  }

  /** A note beside the answer: it would spoil a document. */
  note(text: string): void {
    this.end();
    process.stderr.write(`${toLine(text)}\n`);
  }

  /** A bar on the terminal, where there is one. */
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

  /** Ends what is moving on the terminal. */
  end(): void {
    this.#bar?.stop();
    this.#bar = undefined;
    this.#phase = undefined;
  }
}

/** A vector is no object with a thousand keys. */
function toJson(_key: string, value: unknown): unknown {
  return value instanceof Float32Array ? Array.from(value) : value;
}
