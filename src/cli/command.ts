import type { Command } from "commander";
import type { Progress } from "../shared/long-call.js";
import type { Output } from "./output.js";

/** What every command is given. */
export interface CommandContext {
  /** A path or URL; undefined for what the environment says. */
  readonly url: string | undefined;
  readonly project: string | undefined;
  readonly output: Output;
  /** Progress for the terminal, and a signal that Ctrl-C aborts; to be asked for by long calls only. */
  longCall(): { onProgress(progress: Progress): void; readonly signal: AbortSignal };
}

/** One command of `holdfast`. */
export interface CliCommand {
  /** Its name and its arguments, as in `backup <dest>`. */
  readonly usage: string;
  readonly summary: string;
  /** What follows `$ holdfast ` in the help. */
  readonly example: string;
  /** Declares its options. */
  options?(command: Command): void;
  /** Runs it; the exit code is 0 unless it says otherwise. */
  run(context: CommandContext, input: CommandInput): Promise<number | undefined>;
}

export interface CommandInput {
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
}
