import { existsSync } from "node:fs";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { expectProject } from "../areas/arguments.js";
import { StorageError, withoutCode } from "../shared/errors.js";
import { shellWord } from "../shared/shell-word.js";
import { VERSION } from "../shared/version.js";
import type { CliCommand, CommandContext } from "./command.js";
import { inCommandWords } from "./command-words.js";
import { stoppedExitCode, stopSignal } from "./interruption.js";
import { Output } from "./output.js";
import { paint, usesColor } from "./style.js";
import { toLine } from "./text.js";

const FAILED = 1;
const USAGE = 2;

const DATABASE_NAME = /\.(?:db|db3|sqlite|sqlite3)$/i;

/**
 * Runs `holdfast` with its arguments, and resolves to its exit code: 0, 1 for a failure, 2 for wrong usage, 128 and the
 * number of the signal that stopped it.
 */
export async function runProgram(args: readonly string[]): Promise<number> {
  let exitCode = 0;
  try {
    const program = buildProgram(await loadCommands(args), (code) => {
      exitCode = code;
    });
    if (args.every((arg) => arg === "--json")) {
      process.stderr.write(program.helpInformation());
      return USAGE;
    }
    await program.parseAsync(withoutUnknownHelp(program, args), { from: "user" });
    return exitCode;
  } catch (error) {
    return report(error, args.includes("--json"));
  }
}

/** The version needs no command, and loading them takes several times as long. */
async function loadCommands(args: readonly string[]): Promise<readonly CliCommand[]> {
  if (args.length === 1 && ["--version", "-V"].includes(args[0]!)) return [];
  return (await import("./commands.js")).COMMANDS;
}

/** Help for an unknown command fails like the command itself, which names similar ones. */
function withoutUnknownHelp(program: Command, args: readonly string[]): string[] {
  const [first, name = ""] = args;
  const isKnown = ["", "help", ...program.commands.map((command) => command.name())].includes(name);
  return first === "help" && !isKnown && !name.startsWith("-") ? [name] : [...args];
}

/** The parser of a command line with these commands; `onExit` gets the exit code of the command that ran. */
export function buildProgram(commands: readonly CliCommand[], onExit: (code: number) => void): Command {
  const program = new Command("holdfast");
  program
    .description("Looks after a Holdfast database. Secrets come from HOLDFAST_ENCRYPTION_KEY and HOLDFAST_AUTH_TOKEN.")
    .version(VERSION)
    .option("-u, --url <url>", "path or URL of the database (default: HOLDFAST_URL, HOLDFAST_DATA_DIR)")
    .addOption(new Option("--db <url>", "the same as --url").hideHelp())
    .option("--project <name>", "only this project, for commands that read or remove records")
    .option("--json", "one JSON document instead of text")
    .configureHelp({ showGlobalOptions: true, helpWidth: 100 })
    // `report` writes errors; help and version are written as they are.
    .configureOutput({ writeErr: () => undefined, outputError: () => undefined })
    .exitOverride();
  for (const definition of commands) addCommand(program, definition, onExit);
  return program;
}

function addCommand(program: Command, definition: CliCommand, onExit: (code: number) => void): void {
  const command = program
    .command(definition.usage)
    .description(definition.summary)
    .addHelpText("after", `\nExample:\n  $ holdfast ${definition.example}`)
    .exitOverride((error) => {
      throw error.exitCode === 0 ? error : new UsageError(command.name(), usageMessage(error));
    });
  if (command.registeredArguments.length === 0 && definition.opensDatabase !== false) {
    command.argument("[database]", "its path or URL, as with --url");
  }
  definition.options?.(command);
  command.action(async () => {
    const { url, project, json } = readGlobalOptions(command, definition);
    const output = await Output.open(json);
    try {
      if (project !== undefined) expectProject(project);
      const longCall: CommandContext["longCall"] = (whenStopped) => ({
        signal: stopSignal(whenStopped),
        onProgress: output.progress.bind(output),
      });
      const context: CommandContext = { url, project, output, longCall };
      onExit((await definition.run(context, { args: command.args, options: command.opts() })) ?? 0);
    } catch (error) {
      if (error instanceof InvalidArgumentError) throw new UsageError(command.name(), error.message);
      throw new CommandFailure(error, url);
    } finally {
      output.end();
    }
  });
  // Its own error says only how many arguments there are too many.
  command.allowExcessArguments(true);
}

/** The options of every command, and its argument where that is the database. Throws UsageError. */
function readGlobalOptions(command: Command, { usage, opensDatabase, copiesAll, isCopy }: CliCommand) {
  const { url, db, project, json } = command.optsWithGlobals<{
    url?: string;
    db?: string;
    project?: string;
    json?: boolean;
  }>();
  const { args, registeredArguments } = command;
  const hasOwnArguments = usage.includes(" ");
  const refuse = (message: string) => new UsageError(command.name(), message);
  const name = command.name();
  if (project !== undefined && copiesAll === true) {
    throw refuse(`--project has no effect on ${name}, which takes all projects. Leave it out.`);
  }
  const [extra] = args.slice(registeredArguments.length);
  if (extra !== undefined) {
    const [first] = args;
    const isFirst =
      first !== undefined && (isCopy === true || (DATABASE_NAME.test(first) && !DATABASE_NAME.test(extra)));
    const [named, argument] = isFirst ? [first, extra] : [extra, first];
    const isDatabase = opensDatabase !== false && isLocation(named);
    const call = [name, ...(hasOwnArguments ? [argument!] : []), "--url", named].map(shellWord).join(" ");
    const way = isDatabase
      ? ` Name the database with --url: \`holdfast ${call}\`.`
      : hasOwnArguments
        ? " Quote a text of several words."
        : "";
    throw refuse(`Unexpected argument ${JSON.stringify(extra)}.${way}`);
  }
  const [database] = hasOwnArguments ? [] : args;
  if (database !== undefined && !isLocation(database)) {
    throw refuse(
      `Expected a path or URL of a database, got ${JSON.stringify(database)}. A file of this name is --url ${shellWord(`./${database}`)}.`,
    );
  }
  const named = [url, db, database].filter((one) => one !== undefined);
  if (named.length > 1) throw refuse(`Expected one database, got ${named.join(" and ")}.`);
  return { url: named[0], project, json: json === true };
}

/** Whether an argument is meant as a database; a mistyped word must not become the name of a new file. */
function isLocation(text: string): boolean {
  return /[/\\]|^:memory:$|^[a-z]{2,}:/i.test(text) || DATABASE_NAME.test(text) || existsSync(text);
}

class UsageError extends Error {
  readonly command: string;

  constructor(command: string, message: string) {
    super(message);
    this.command = command;
  }
}

/** What a command failed with, and the database that it was called with. */
class CommandFailure extends Error {
  readonly url: string | undefined;

  constructor(cause: unknown, url: string | undefined) {
    super("The command failed", { cause });
    this.url = url;
  }
}

function usageMessage({ message }: CommanderError): string {
  const text = message.replace(/^error: /, "").trim();
  return /[.)?]$/.test(text) ? text : `${text}.`;
}

/** Writes the error on one line, with its code and the next step, and returns the exit code. */
export function report(thrown: unknown, isJson: boolean): number {
  const [error, url] = thrown instanceof CommandFailure ? [thrown.cause, thrown.url] : [thrown, undefined];
  // The reader of the output has closed the pipe.
  if ((error as NodeJS.ErrnoException | undefined)?.code === "EPIPE") return 0;
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  const { code, message, exitCode } = describe(error, url);
  const program = paint({ text: "holdfast:", style: "red" }, usesColor(process.stderr));
  process.stderr.write(`${program} ${code}: ${message}\n`);
  // One line, so that it is also a line of JSON Lines that an export had begun.
  if (isJson) process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
  return exitCode;
}

function describe(error: unknown, url: string | undefined): { code: string; message: string; exitCode: number } {
  if (error instanceof CommanderError) {
    return { code: "USAGE", message: toLine(`${usageMessage(error)} See \`holdfast --help\``), exitCode: USAGE };
  }
  if (error instanceof UsageError) {
    const message = toLine(`${error.message} See \`holdfast ${error.command} --help\``);
    return { code: "USAGE", message, exitCode: USAGE };
  }
  if (error instanceof StorageError) {
    const { code } = error;
    const message = withoutCode(error);
    // The message about a bad line names its fields, which are not options.
    const text = code === "INVALID_IMPORT" ? message : inCommandWords(message, url);
    return { code, message: toLine(text), exitCode: stoppedExitCode() ?? FAILED };
  }
  const { code = "ERROR", message = String(error) } = error as NodeJS.ErrnoException;
  const text = toLine(inCommandWords(message, url));
  // A wrong argument of the API is a wrong argument of the command.
  if (error instanceof TypeError || error instanceof RangeError)
    return { code: "USAGE", message: text, exitCode: USAGE };
  return { code, message: text, exitCode: stoppedExitCode() ?? FAILED };
}
