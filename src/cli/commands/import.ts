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
      "if a record exists: fail, skip or replace",
      parseOneOf(["fail", "skip", "replace"]),
      "fail",
    );
    command.option("--into-project <name>", "store the records of all projects in this one");
    command.option("--skip-invalid", "skip and report bad lines; without this option, one bad line refuses all");
  },
  async run(context, { args, options }) {
    const [file] = args as [string];
    if (file !== "-") requireText(file);
    const { output } = context;
    // Asked for here, so that Ctrl-C also aborts while the database is created.
    const longCall = context.longCall("Nothing was imported");
    return withoutLeftover(context, async (storage) => {
      if (isOpenHere(file)) {
        // Closing the file after reading it would take the locks of this process on it.
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

/** Runs `work` on the storage. If it fails, removes the database that was made for it, unless it has records. */
async function withoutLeftover<T>(context: CommandContext, work: (storage: Storage) => Promise<T>): Promise<T> {
  const url = fileOf(context);
  const path = url === undefined ? undefined : realPath(url);
  if (path === undefined || existsSync(path)) return withStorage(context, { logger: silentLogger }, work);
  // If the folder cannot be made, opening the database reports it.
  const removeFolder = await makeFolder(dirname(path)).catch(() => async () => undefined);
  // Another process may have made the same file and stored records in it.
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
    // The first error is the one to report.
    if (isEmpty) await removeUnused(path).catch(() => undefined);
    await removeFolder();
    throw error;
  }
}

async function removeUnused(path: string): Promise<void> {
  await assertNotInUse(path);
  await removeDatabase(path);
}

/** A failure is reported once, as the error of the command. */
const silentLogger = { info() {}, warn() {}, error() {} };

/** Throws if the file is missing or a folder, before a database is made for it. */
function requireText(file: string): void {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw new StorageError("NOT_FOUND", `There is no file ${file}. Check the path`);
  if (stat.isDirectory()) throw new StorageError("CANNOT_OPEN", `${file} is a folder. Name a file that export wrote`);
}
