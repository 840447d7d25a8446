import { createReadStream, statSync } from "node:fs";
import { isOpenHere } from "../../client/open-files.js";
import { StorageError } from "../../errors.js";
import type { ImportOptions } from "../../maintenance/import.js";
import { parseOneOf } from "../arguments.js";
import type { CliCommand } from "../command.js";
import { withStorage } from "../target.js";

export const importCommand: CliCommand = {
  usage: "import <file>",
  summary: "store what export wrote, all of it or nothing; - reads standard input",
  example: "import app.jsonl --on-conflict skip --url ./data/copy.db",
  options(command) {
    command.option(
      "--on-conflict <what>",
      "for a record that is there already: fail, skip or replace",
      parseOneOf(["fail", "skip", "replace"]),
      "fail",
    );
    command.option("--into-project <name>", "store all records in this project, whatever project they come from");
    command.option("--skip-invalid", "leave bad lines out and report them, where one would refuse all");
  },
  async run(context, { args, options }) {
    const [file] = args as [string];
    if (file !== "-") requireText(file);
    const { output } = context;
    return withStorage(context, { logger: silentLogger }, async (storage) => {
      if (isOpenHere(file)) {
        // Reading it closes it, and with that this process would lose its locks on it.
        throw new StorageError("INVALID_IMPORT", `${file} is the database itself. Name a file that export wrote`);
      }
      const result = await storage.import(file === "-" ? process.stdin : createReadStream(file), {
        onConflict: options.onConflict as ImportOptions["onConflict"],
        onInvalid: options.skipInvalid === true ? "skip" : "fail",
        project: context.project,
        intoProject: options.intoProject as string | undefined,
        ...context.longCall(),
      });
      if (context.project !== undefined && result.inserted + result.replaced + result.skipped === 0) {
        output.note(
          `nothing of project ${JSON.stringify(context.project)} is in ${file}: --into-project stores records of other projects in it`,
        );
      }
      output.result(result, () => {
        output.line(`inserted ${result.inserted}, replaced ${result.replaced}, skipped ${result.skipped}`);
        for (const { line, message } of result.invalid) output.line(`line ${line} left out: ${message}`);
      });
      return 0;
    });
  },
};

/** What fails is told once, as the error of the command. */
const silentLogger = { info() {}, warn() {}, error() {} };

/** Before a database is made for it. */
function requireText(file: string): void {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw new StorageError("NOT_FOUND", `There is no file ${file}. Check the path`);
  if (stat.isDirectory()) throw new StorageError("CANNOT_OPEN", `${file} is a folder. Name a file that export wrote`);
}
