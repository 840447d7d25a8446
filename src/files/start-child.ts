import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { environment } from "../shared/environment.js";
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
 * Runs this process's runtime with `args`, and with `order` as JSON in its last argument. `onMessage` gets each line that
 * the child writes, which is JSON.
 *
 * Rejects with the signal's reason, with what `onMessage` throws, and where the system cannot start a process. The child
 * is gone by then. Its standard input ends with this process.
 */
export async function runChild<Message>(
  args: readonly string[],
  order: unknown,
  { encryptionKey, signal }: ChildOptions,
  onMessage: (message: Message) => void,
): Promise<ChildEnd> {
  signal?.throwIfAborted();
  const child = await start([...args, JSON.stringify(order)], encryptionKey);
  const stop = () => child.kill("SIGKILL");
  signal?.addEventListener("abort", stop);
  if (signal?.aborted === true) stop();
  let failure: unknown;
  let stderr = "";
  child.stdin.on("error", () => undefined);
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
    const child = spawn(process.execPath, args, { stdio: "pipe", env });
    await once(child, "spawn");
    return child as ChildProcessByStdio<Writable, Readable, Readable>;
  } catch (error) {
    throw asFileError(error, "Cannot start the process that reads the file");
  }
}
