import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { startChild } from "../files/start-child.js";
import { PACKAGE_FOLDER, RUNS_FROM_SOURCE } from "../package-folder.js";

/** How a process that reads a file for this one ended. */
export interface ChildEnd {
  /** Its exit code or signal, with what it said of it. */
  readonly reason: string;
  /** Whether it ended by an exit code, and so by itself. */
  readonly hasExited: boolean;
}

export interface ChildOptions {
  readonly encryptionKey: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * Runs `name` of this folder in a process of its own, since a damaged file can abort the one that reads it. The order
 * reaches it as JSON in its first argument, the key of an encrypted file by the environment; its answers are lines of
 * JSON. Rejects with the signal's reason, and with what `onMessage` throws; the process is gone by then.
 */
export async function runReadingChild<Message>(
  name: string,
  order: unknown,
  { encryptionKey, signal }: ChildOptions,
  onMessage: (message: Message) => void,
): Promise<ChildEnd> {
  const { HOLDFAST_ENCRYPTION_KEY: _, NODE_OPTIONS: __, ...environment } = process.env;
  const child = await startChild([...programOf(name), JSON.stringify(order)], "pipe", {
    ...environment,
    // In Electron, the path is that of the app.
    ELECTRON_RUN_AS_NODE: "1",
    ...(encryptionKey === undefined ? {} : { HOLDFAST_ENCRYPTION_KEY: encryptionKey }),
  });
  const stop = () => child.kill("SIGKILL");
  signal?.addEventListener("abort", stop);
  if (signal?.aborted === true) stop();
  let stderr = "";
  child.stderr.on("data", (text) => {
    stderr = (stderr + text).slice(0, 2000);
  });
  let failure: unknown;
  const ended = new Promise<ChildEnd>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, killedBy) => {
      resolve({ reason: killedBy ?? `exit code ${code}`, hasExited: killedBy === null });
    });
  });
  child.stdin.on("error", () => undefined);
  createInterface({ input: child.stdout }).on("line", (text) => {
    try {
      onMessage(JSON.parse(text) as Message);
    } catch (error) {
      // A callback of the caller's that throws ends the call; so does a line that is cut.
      failure ??= error;
      stop();
    }
  });
  try {
    const { reason, hasExited } = await ended;
    signal?.throwIfAborted();
    if (failure !== undefined && !(failure instanceof SyntaxError)) throw failure;
    const words = stderr
      .trim()
      .split("\n")
      .find((text) => /panicked|Error|error/.test(text))
      ?.slice(0, 200);
    return { reason: words === undefined ? reason : `${reason}, ${words}`, hasExited };
  } finally {
    signal?.removeEventListener("abort", stop);
    stop();
  }
}

/** The arguments that run a program of this folder. */
function programOf(name: string): string[] {
  const pathOf = (relative: string) => fileURLToPath(new URL(relative, PACKAGE_FOLDER));
  // The tests run the source, but their child processes run the build: loading TypeScript would double their time.
  const built = pathOf(`dist/maintenance/${name}.js`);
  if (!RUNS_FROM_SOURCE || existsSync(built)) return [built];
  const loader = process.versions.bun === undefined ? ["--import", import.meta.resolve("tsx")] : [];
  return [...loader, pathOf(`src/maintenance/${name}.ts`)];
}
