import { createReadStream, existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { isOpenHere } from "../../client/local/open-files.js";
import { makeFolder } from "../../files/folders.js";
import { removeDatabase } from "../../files/place-file.js";
import { realPath } from "../../files/real-path.js";
import type { ImportOptions } from "../../maintenance/import.js";
import { assertNotInUse } from "../../maintenance/in-use.js";
import { StorageError } from "../../shared/errors.js";
import type { Storage } from "../../storage/storage.js";
import { parseOneOf } from "../arguments.js";
import type { CliCommand, CommandContext } from "../command.js";
import { fileOf, withStorage } from "../target.js";

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
    // From here on, so that a Ctrl-C while the database is made ends in order as well.
    const longCall = context.longCall();
    return withoutLeftover(context, async (storage) => {
      if (isOpenHere(file)) {
        // Reading it closes it, and with that this process would lose its locks on it.
        throw new StorageError("INVALID_IMPORT", `${file} is the database itself. Name a file that export wrote`);
      }
      const result = await storage.import(file === "-" ? process.stdin : createReadStream(file), {
        onConflict: options.onConflict as ImportOptions["onConflict"],
        onInvalid: options.skipInvalid === true ? "skip" : "fail",
        project: context.project,
        intoProject: options.intoProject as string | undefined,
        ...longCall,
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

/** Runs `work` on the storage; where that fails, an empty database that was made for it is removed. */
async function withoutLeftover<T>(context: CommandContext, work: (storage: Storage) => Promise<T>): Promise<T> {
  const url = fileOf(context);
  const path = url === undefined ? undefined : realPath(url);
  if (path === undefined || existsSync(path)) return withStorage(context, { logger: silentLogger }, work);
  // A folder that cannot be made is told by opening the database.
  const removeFolder = await makeFolder(dirname(path)).catch(() => async () => undefined);
  // Another process may have made the same file, and stored in it.
  let isEmpty = true;
  try {
    return await withStorage(context, { logger: silentLogger }, async (storage) => {
      try {
        return await work(storage);
      } catch (error) {
        isEmpty = (await storage.projects()).length === 0;
        throw error;
      }
    });
  } catch (error) {
    // The reason of the failure is the one to tell.
    if (isEmpty) await removeUnused(path).catch(() => undefined);
    await removeFolder();
    throw error;
  }
}

async function removeUnused(path: string): Promise<void> {
  await assertNotInUse(path);
  await removeDatabase(path);
}

/** What fails is told once, as the error of the command. */
const silentLogger = { info() {}, warn() {}, error() {} };

/** Before a database is made for it. */
function requireText(file: string): void {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw new StorageError("NOT_FOUND", `There is no file ${file}. Check the path`);
  if (stat.isDirectory()) throw new StorageError("CANNOT_OPEN", `${file} is a folder. Name a file that export wrote`);
}
