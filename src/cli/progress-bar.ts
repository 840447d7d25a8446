import type { Progress } from "../shared/long-call.js";

const REDRAW_EVERY_MS = 100;
const MOST_BAR_COLUMNS = 40;
/** The end of the line: a space and `100%`, and one column where the cursor stays. */
const PERCENT_COLUMNS = 6;
const CLEAR_LINE = "\r\u001b[K";

/** One line of a terminal that shows the current phase of a long call, and is cleared at its end. */
export class ProgressBar {
  readonly #stream: NodeJS.WriteStream;
  #phase: string | undefined;
  #drawnAt = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  show({ phase, done, total }: Progress): void {
    const now = performance.now();
    if (phase === this.#phase && done < total && now - this.#drawnAt < REDRAW_EVERY_MS) return;
    this.#phase = phase;
    this.#drawnAt = now;
    const share = Math.min(1, done / Math.max(1, total));
    const room = this.#stream.columns - phase.length - 1 - PERCENT_COLUMNS;
    const columns = Math.max(0, Math.min(MOST_BAR_COLUMNS, room));
    const full = Math.round(share * columns);
    const bar = "█".repeat(full) + "░".repeat(columns - full);
    this.#stream.write(`${CLEAR_LINE}${phase} ${bar} ${Math.floor(share * 100)}%`);
  }

  /** Clears the line. */
  end(): void {
    if (this.#phase === undefined) return;
    this.#phase = undefined;
    this.#stream.write(CLEAR_LINE);
  }
}
