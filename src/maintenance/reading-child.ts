import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type ChildEnd, type ChildOptions, runChild } from "../files/start-child.js";
import { PACKAGE_FOLDER, RUNS_FROM_SOURCE } from "../package-folder.js";

/**
 * Runs the program `name` of this folder in another process, since a damaged file can abort the process that reads it;
 * see `runChild`. The `reason` it resolves to includes the error that the process reported.
 */
export async function runReadingChild<Message>(
  name: string,
  order: unknown,
  options: ChildOptions,
  onMessage: (message: Message) => void,
): Promise<ChildEnd> {
  const end = await runChild(programOf(name), order, options, onMessage);
  const words = end.stderr.split("\n").find((text) => /panicked|Error|error/.test(text));
  return words === undefined ? end : { ...end, reason: `${end.reason}, ${words.slice(0, 200)}` };
}

function programOf(name: string): string[] {
  const pathOf = (relative: string) => fileURLToPath(new URL(relative, PACKAGE_FOLDER));
  // The tests run the source, but their child processes run the build: loading TypeScript would double their time.
  const built = pathOf(`dist/maintenance/${name}.js`);
  if (!RUNS_FROM_SOURCE || existsSync(built)) return [built];
  const loader = process.versions.bun === undefined ? ["--import", import.meta.resolve("tsx")] : [];
  return [...loader, pathOf(`src/maintenance/${name}.ts`)];
}
