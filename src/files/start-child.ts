import { type ChildProcessByStdio, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { asFileError } from "./file-steps.js";

/**
 * Runs this process's runtime with other arguments and pipes for what it says; resolves once it has started.
 *
 * Rejects where the system cannot start it. Without a descriptor for its pipes, Node gives a process that has no
 * streams, so nothing may touch them before.
 */
export async function startChild<Input extends "pipe" | "ignore">(
  args: readonly string[],
  input: Input,
  env: SpawnOptions["env"],
): Promise<ChildProcessByStdio<Input extends "pipe" ? Writable : null, Readable, Readable>> {
  try {
    const child = spawn(process.execPath, args, { stdio: [input, "pipe", "pipe"], env });
    await once(child, "spawn");
    return child as Awaited<ReturnType<typeof startChild<Input>>>;
  } catch (error) {
    throw asFileError(error, "Cannot start the process that reads the file");
  }
}
