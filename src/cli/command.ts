import type { Command } from "commander";
import type { Progress } from "../shared/long-call.js";
import type { Output } from "./output.js";

/** What every command gets. */
export interface CommandContext {
  /** A path or URL; undefined for the one of the environment. */
  readonly url: string | undefined;
  readonly project: string | undefined;
  readonly output: Output;
  /**
   * Progress for the terminal, and a signal that Ctrl-C aborts. Only long calls ask for it. `whenStopped` is what the
   * error then says: in which state the files are, and what to do.
   */
  longCall(whenStopped?: string): { onProgress(progress: Progress): void; readonly signal: AbortSignal };
}

/** One command of `holdfast`. */
export interface CliCommand {
  /** Its name and its arguments, as in `backup <dest>`. */
  readonly usage: string;
  readonly summary: string;
  /** The arguments of the example in the help. */
  readonly example: string;
  /** Whether it works on the database of `--url`, which it then also takes as its argument. @default true */
  readonly opensDatabase?: boolean;
  /** Whether it copies or replaces a whole database, so that `--project` would promise something else. @default false */
  readonly copiesAll?: boolean;
  /** Whether people put the database before its arguments, as the source of a copy. @default false */
  readonly isCopy?: boolean;
  /** Declares its options. */
  options?(command: Command): void;
  /** Runs it and resolves to its exit code; undefined means 0. */
  run(context: CommandContext, input: CommandInput): Promise<number | undefined>;
}

interface CommandInput {
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
}
