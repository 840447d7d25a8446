import { StorageError } from "../shared/errors.js";

/** A line that holds no record. */
export interface InvalidLine {
  /** From 1, which is the header. */
  readonly line: number;
  readonly message: string;
}

/** An import refused because of its text: `INVALID_IMPORT`. */
export class ImportError extends StorageError {
  /** All bad lines, in order; `line` is the first of them. */
  readonly lines: readonly InvalidLine[];

  constructor(lines: readonly InvalidLine[]) {
    const [first] = lines as [InvalidLine, ...InvalidLine[]];
    const shown = lines.slice(0, 3).map(({ line, message }) => `line ${line}: ${message}`);
    const more = lines.length > 3 ? `; and ${lines.length - 3} more` : "";
    super("INVALID_IMPORT", `Nothing was imported. ${shown.join("; ")}${more}. Fix the text, or export again`, {
      line: first.line,
    });
    this.lines = lines;
  }
}
