import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { AREAS } from "../../areas/registry.js";
import { absolutePath } from "../../files/absolute-path.js";
import { asFileError } from "../../files/file-error.js";
import { pathTaken, placeFile, removeStale, temporaryName, writeSynced } from "../../files/place-file.js";
import type { ExportOptions } from "../../maintenance/export.js";
import { StorageError } from "../../shared/errors.js";
import type { Storage } from "../../storage/storage.js";
import { parseOneOf } from "../arguments.js";
import type { CliCommand } from "../command.js";
import { noteForProject } from "../project-note.js";
import { fileOf, withReadable } from "../target.js";
import { toCount } from "../text.js";

const CHUNK_CHARS = 256 * 1024;

export const exportCommand: CliCommand = {
  usage: "export",
  summary: "write all records as JSON Lines, to a new file or to standard output",
  example: "export --out app.jsonl --url ./data/app.db",
  options(command) {
    command.option("--out <file>", "a new file; without this option, or as -, the lines go to standard output");
    command.option("--area <name>", "only this area", parseOneOf(AREAS.map(({ name }) => name)));
  },
  async run(context, { options }) {
    const { out, area } = options as { out?: string; area?: ExportOptions["area"] };
    const path = out === undefined || out === "-" ? undefined : absolutePath(out);
    const temporary = path === undefined ? "" : temporaryName(path);
    if (path !== undefined) await assertFree(path);
    let isRepeated = false;
    const read = async (storage: Storage) => {
      if (path === undefined && isRepeated) throw changedDuringExport(fileOf(context)!);
      isRepeated = true;
      const { onProgress, signal } = context.longCall(
        path === undefined ? "The lines on standard output are incomplete" : "No file was written",
      );
      const note = await noteForProject(storage, context.project);
      let records = 0;
      const lines = storage.export({
        area,
        project: context.project,
        signal,
        onProgress(progress) {
          records = progress.done;
          // Without `--out`, the lines may go to the same terminal.
          if (path !== undefined || !process.stdout.isTTY) onProgress(progress);
        },
      });
      if (path === undefined) {
        await context.output.stream(lines);
        return () => note(context.output);
      }
      await asFileErrors(path, () => writeSynced(temporary, inChunks(lines)));
      return async () => {
        // The file appears once it is complete, and never replaces another.
        await asFileErrors(path, async () => {
          if (!(await placeFile(temporary, path))) throw pathTaken(path);
        });
        note(context.output);
        context.output.result({ path, records }, () => context.output.line(`${path}  ${toCount(records, "record")}`));
      };
    };
    try {
      return await withReadable(context, read);
    } finally {
      if (path !== undefined) await rm(temporary, { force: true });
    }
  },
};

async function assertFree(path: string): Promise<void> {
  if (existsSync(path)) throw pathTaken(path);
  if (!existsSync(dirname(path))) {
    throw new StorageError(
      "CANNOT_OPEN",
      `Cannot write ${path}: the folder ${dirname(path)} does not exist. Create it first`,
    );
  }
  await removeStale(dirname(path));
}

async function asFileErrors(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw asFileError(error, `Cannot write ${path}`);
  }
}

function changedDuringExport(path: string): StorageError {
  const message = `Another process opened and changed ${path} during the export, so its lines do not show one moment. Run it again, or use --out, which tries again by itself`;
  return new StorageError("BUSY", message, { retryable: true });
}

/** Joins lines, for fewer and larger writes. */
async function* inChunks(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let chunk = "";
  for await (const line of lines) {
    chunk += line;
    if (chunk.length < CHUNK_CHARS) continue;
    yield chunk;
    chunk = "";
  }
  yield chunk;
}
