import { existsSync } from "node:fs";
import { link, open, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { StorageError } from "../../errors.js";
import { AREAS } from "../../maintenance/areas/all.js";
import type { ExportOptions } from "../../maintenance/export.js";
import { parseOneOf } from "../arguments.js";
import type { CliCommand } from "../command.js";
import { withReadable } from "../target.js";

const CHUNK_CHARS = 256 * 1024;

export const exportCommand: CliCommand = {
  usage: "export",
  summary: "write all records as JSON Lines, to a new file or to standard output",
  example: "export --out app.jsonl --url ./data/app.db",
  options(command) {
    command.option("--out <file>", "a file that is made; without it, the lines go to standard output");
    command.option("--area <name>", "only this area", parseOneOf(AREAS.map(({ name }) => name)));
  },
  run(context, { options }) {
    const { out, area } = options as { out?: string; area?: ExportOptions["area"] };
    return withReadable(context, async (storage) => {
      const { onProgress, signal } = context.longCall();
      let records = 0;
      const lines = storage.export({
        area,
        project: context.project,
        signal,
        onProgress(progress) {
          records = progress.done;
          // The lines are on their way to the same terminal.
          if (out !== undefined || !process.stdout.isTTY) onProgress(progress);
        },
      });
      if (out === undefined) {
        await pipeline(lines, process.stdout, { end: false });
        context.output.end();
        return 0;
      }
      const path = resolve(out);
      await writeWhole(path, lines);
      context.output.result({ path, records }, () => context.output.line(`${path}  ${records} records`));
      return 0;
    });
  },
};

/** The file appears once it is complete, and takes no other's place. */
async function writeWhole(path: string, lines: AsyncIterable<string>): Promise<void> {
  const taken = new StorageError("EXISTS", `${path} exists already, and nothing is overwritten. Name another file`);
  if (existsSync(path)) throw taken;
  const temporary = `${path}.${process.pid}.partial`;
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      for await (const chunk of inChunks(lines)) await file.write(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") throw taken;
    if (code === "ENOENT" || code === "EACCES" || code === "EROFS" || code === "ENOTDIR") {
      throw new StorageError("CANNOT_OPEN", `Cannot write ${path}: ${message}`, { cause: error });
    }
    if (code === "ENOSPC") throw new StorageError("FULL", `No room for ${path}. Nothing was written`, { cause: error });
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Fewer and larger writes than one a line. */
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
