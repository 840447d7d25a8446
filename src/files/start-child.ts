import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { environment } from "../shared/environment.js";
import { StorageError } from "../shared/errors.js";
import { PACKAGES_BASE } from "./client-packages.js";
import { asFileError } from "./file-error.js";

export interface ChildOptions {
  /** The encryption key, if the child needs one; it reaches the child by the environment. */
  readonly encryptionKey?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How a child process ended. */
export interface ChildEnd {
  /** Undefined if a signal ended it. */
  readonly exitCode: number | undefined;
  /** Its exit code or signal, in words. */
  readonly reason: string;
  /** The beginning of what it wrote to standard error. */
  readonly stderr: string;
}

const MAX_STDERR_CHARS = 2000;

/**
 * For `-e`: reads the program and its order from standard input, where no limit applies to their size, and runs it. Its
 * `require` finds what this process finds. It ends when standard input does, so with this process.
 */
const LOADER = `
let text = "";
for (const event of ["end", "error"]) process.stdin.on(event, () => process.exit(1));
process.stdin.setEncoding("utf8").on("data", (part) => {
  if (text === undefined) return;
  text += part;
  if (!text.endsWith("\\n")) return;
  const { program, order, base } = JSON.parse(text);
  text = undefined;
  const { createRequire } = process.getBuiltinModule?.("node:module") ?? require("node:module");
  new Function("require", "order", "base", program)(createRequire(base), order, base);
});
`;

/**
 * Runs `program`, the text of a CommonJS function body with `require` and `order`, in a process of this runtime.
 * `onMessage` gets each line that it writes, which is JSON.
 *
 * Rejects with the signal's reason, with what `onMessage` throws, and where the system cannot start a process. The child
 * is gone by then.
 */
export async function runChild<Message>(
  program: string,
  order: unknown,
  { encryptionKey, signal }: ChildOptions,
  onMessage: (message: Message) => void,
): Promise<ChildEnd> {
  signal?.throwIfAborted();
  if (isSingleExecutable()) {
    throw new StorageError(
      "NOT_SUPPORTED",
      "A single executable application cannot start the process that reads the file. Run the command `holdfast` instead",
    );
  }
  const child = await start(["-e", LOADER], encryptionKey);
  const stop = () => child.kill("SIGKILL");
  signal?.addEventListener("abort", stop);
  if (signal?.aborted === true) stop();
  let failure: unknown;
  let stderr = "";
  child.stdin.on("error", () => undefined);
  child.stdin.write(`${JSON.stringify({ program, order, base: PACKAGES_BASE })}\n`);
  child.stderr.on("data", (text) => {
    stderr = (stderr + text).slice(0, MAX_STDERR_CHARS);
  });
  const lines = createInterface({ input: child.stdout });
  const linesClosed = new Promise<void>((resolve) => lines.once("close", resolve));
  lines.on("line", (line) => {
    try {
      onMessage(JSON.parse(line) as Message);
    } catch (error) {
      // A line that was cut tells no more than the end of the child does. A callback that throws ends the call.
      if (!(error instanceof SyntaxError)) failure ??= error;
      stop();
    }
  });
  try {
    const [code, killedBy] = (await once(child, "close")) as [number | null, string | null];
    await linesClosed;
    signal?.throwIfAborted();
    if (failure !== undefined) throw failure;
    return { exitCode: code ?? undefined, reason: killedBy ?? `exit code ${code}`, stderr: stderr.trim() };
  } finally {
    signal?.removeEventListener("abort", stop);
    stop();
  }
}

/** Whether the runtime's path is that of the application, which would run again as its own child. */
function isSingleExecutable(): boolean {
  const { Deno } = globalThis as { Deno?: { build: { standalone?: boolean } } };
  const sea = process.getBuiltinModule?.("node:sea" as "node:fs") as { isSea?(): boolean } | undefined;
  return sea?.isSea?.() === true || Deno?.build.standalone === true;
}

/**
 * Resolves once the process has started: without a descriptor for its pipes, Node gives a process that has no streams,
 * so nothing may touch them before.
 */
async function start(args: readonly string[], encryptionKey: string | undefined) {
  const { HOLDFAST_ENCRYPTION_KEY: _, NODE_OPTIONS: __, ...inherited } = environment();
  const env = {
    ...inherited,
    // In Electron, and in a program that Bun has compiled, the path is that of the app.
    ELECTRON_RUN_AS_NODE: "1",
    BUN_BE_BUN: "1",
    ...(encryptionKey === undefined ? {} : { HOLDFAST_ENCRYPTION_KEY: encryptionKey }),
  };
  try {
    // The working folder of this process may have been deleted, and the runtime then does not start.
    const child = spawn(process.execPath, args, { stdio: "pipe", env, cwd: dirname(process.execPath) });
    await once(child, "spawn");
    return child as ChildProcessByStdio<Writable, Readable, Readable>;
  } catch (error) {
    throw asFileError(error, "Cannot start the process that reads the file");
  }
}
