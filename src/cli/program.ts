import { readFileSync } from "node:fs";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { expectProject } from "../areas/arguments.js";
import { PACKAGE_FOLDER } from "../package-folder.js";
import { StorageError, withoutCode } from "../shared/errors.js";
import type { CliCommand, CommandContext } from "./command.js";
import { inCommandWords } from "./command-words.js";
import { acceptCommand } from "./commands/accept.js";
import { adoptCommand } from "./commands/adopt.js";
import { backupCommand } from "./commands/backup.js";
import { baselineCommand } from "./commands/baseline.js";
import { checkCommand } from "./commands/check.js";
import { exportCommand } from "./commands/export.js";
import { importCommand } from "./commands/import.js";
import { lintCommand } from "./commands/lint.js";
import { migrateCommand } from "./commands/migrate.js";
import { pruneCommand } from "./commands/prune.js";
import { reindexCommand } from "./commands/reindex.js";
import { restoreCommand } from "./commands/restore.js";
import { revertCommand } from "./commands/revert.js";
import { salvageCommand } from "./commands/salvage.js";
import { searchCommand } from "./commands/search.js";
import { statsCommand } from "./commands/stats.js";
import { statusCommand } from "./commands/status.js";
import { studioCommand } from "./commands/studio.js";
import { Output } from "./output.js";
import { toLine } from "./text.js";

export const COMMANDS: readonly CliCommand[] = [
  migrateCommand,
  statusCommand,
  revertCommand,
  adoptCommand,
  baselineCommand,
  acceptCommand,
  lintCommand,
  checkCommand,
  backupCommand,
  restoreCommand,
  salvageCommand,
  statsCommand,
  searchCommand,
  exportCommand,
  importCommand,
  pruneCommand,
  reindexCommand,
  studioCommand,
];

const FAILED = 1;
const USAGE = 2;

/** Runs `holdfast` with its arguments, and resolves to its exit code: 0, 1 for a failure, 2 for wrong usage. */
export async function runProgram(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = buildProgram((code) => {
    exitCode = code;
  });
  try {
    if (args.every((arg) => arg === "--json")) {
      process.stderr.write(program.helpInformation());
      return USAGE;
    }
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    return report(error);
  }
}

/** The parser of the command line; `onExit` gets the exit code of the command that ran. */
export function buildProgram(onExit: (code: number) => void): Command {
  const { version } = JSON.parse(readFileSync(new URL("package.json", PACKAGE_FOLDER), "utf8"));
  const program = new Command("holdfast");
  program
    .description("Looks after a Holdfast database. Secrets come from HOLDFAST_ENCRYPTION_KEY and HOLDFAST_AUTH_TOKEN.")
    .version(version)
    .option("--url <url>", "path or URL of the database (default: HOLDFAST_URL, HOLDFAST_DATA_DIR)")
    .option("--project <name>", "only this project, for commands that read or remove records")
    .option("--json", "one JSON document instead of text")
    .configureHelp({ showGlobalOptions: true, helpWidth: 100 })
    // `report` writes errors; help and version are written as they are.
    .configureOutput({ writeErr: () => undefined, outputError: () => undefined })
    .exitOverride();
  for (const definition of COMMANDS) addCommand(program, definition, onExit);
  return program;
}

function addCommand(program: Command, definition: CliCommand, onExit: (code: number) => void): void {
  const command = program
    .command(definition.usage)
    .description(definition.summary)
    .allowExcessArguments(false)
    .addHelpText("after", `\nExample:\n  $ holdfast ${definition.example}`);
  definition.options?.(command);
  command.action(async () => {
    const { url, project, json } = program.opts<{ url?: string; project?: string; json?: boolean }>();
    const output = new Output(json === true);
    try {
      if (project !== undefined) expectProject(project);
      const context: CommandContext = { url, project, output, longCall: () => longCall(output) };
      onExit((await definition.run(context, { args: command.args, options: command.opts() })) ?? 0);
    } catch (error) {
      throw error instanceof InvalidArgumentError ? new UsageError(command.name(), error.message) : error;
    } finally {
      output.end();
    }
  });
}

class UsageError extends Error {
  readonly command: string;

  constructor(command: string, message: string) {
    super(message);
    this.command = command;
  }
}

let controller: AbortController | undefined;

/** The first Ctrl-C aborts the call; a second one ends the process. */
function longCall(output: Output) {
  if (controller === undefined) {
    const own = new AbortController();
    controller = own;
    const stop = (signal: NodeJS.Signals) => {
      own.abort(new StorageError("ABORTED", `Stopped by ${signal}. Start it again to continue`));
      for (const name of ["SIGINT", "SIGTERM"] as const) process.off(name, stop);
    };
    for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, stop);
  }
  return { signal: controller.signal, onProgress: output.progress.bind(output) };
}

/** Writes the error on one line, with its code and the next step, and returns the exit code. */
export function report(error: unknown): number {
  // The reader of the output has closed the pipe.
  if ((error as NodeJS.ErrnoException | undefined)?.code === "EPIPE") return 0;
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    const message = error.message.replace(/^error: /, "").replace(/\.$/, "");
    return fail("USAGE", `${message}. See \`holdfast --help\``, USAGE);
  }
  if (error instanceof UsageError) {
    return fail("USAGE", `${error.message} See \`holdfast ${error.command} --help\``, USAGE);
  }
  if (error instanceof StorageError) {
    return fail(error.code, withoutCode(error), FAILED);
  }
  // A wrong argument of the API is a wrong argument of the command.
  if (error instanceof TypeError || error instanceof RangeError) return fail("USAGE", error.message, USAGE);
  const { code = "ERROR", message } = error as NodeJS.ErrnoException;
  return fail(code, message ?? String(error), FAILED);
}

function fail(code: string, message: string, exitCode: number): number {
  // The message about a bad line names its fields, which are not options.
  const text = code === "INVALID_IMPORT" ? message : inCommandWords(message);
  process.stderr.write(`holdfast: ${code}: ${toLine(text)}\n`);
  return exitCode;
}
