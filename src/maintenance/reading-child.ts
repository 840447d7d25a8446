import { brotliDecompressSync } from "node:zlib";
import { lazyModule } from "../files/load-module.js";
import { type ChildEnd, type ChildOptions, runChild } from "../files/start-child.js";
import { HOLDFAST_MIGRATIONS, HOLDFAST_OBJECTS } from "../shared/holdfast-migrations.js";
import type { ReadingOrder } from "./reading-program.js";

const programText = lazyModule(() => import("./reading-program-text.js"));

/**
 * Has another process check or salvage a file, since a damaged file can abort the process that reads it; see `runChild`.
 * The `reason` it resolves to includes the error that the process reported.
 */
export async function runReadingChild<Message>(
  order: ReadingOrder,
  options: ChildOptions,
  onMessage: (message: Message) => void,
): Promise<ChildEnd> {
  const { READING_PROGRAM } = await programText();
  const program = brotliDecompressSync(Buffer.from(READING_PROGRAM, "base64")).toString();
  const known = { migrations: HOLDFAST_MIGRATIONS, objects: HOLDFAST_OBJECTS };
  const end = await runChild(program, { ...order, ...known }, options, onMessage);
  const words = end.stderr.split("\n").find((text) => /panicked|Error|error/.test(text));
  return words === undefined ? end : { ...end, reason: `${end.reason}, ${words.slice(0, 200)}` };
}
