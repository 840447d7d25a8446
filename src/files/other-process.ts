import { runChild } from "./start-child.js";

// As text, so that a bundle has it. Errors are sent with the fields that the file system gave them.
const PRELUDE = `
const fs = require("node:fs");
const say = (value) => fs.writeSync(1, JSON.stringify(value) + "\\n");
process.on("uncaughtException", ({ message, code, syscall }) => {
  say({ failure: { message, code, syscall } });
  process.exit(1);
});
`;

const COPY = `
const source = fs.openSync(order.from, "r");
const total = fs.fstatSync(source).size;
const destination = fs.openSync(order.to, "wx", 0o600);
const chunk = Buffer.allocUnsafe(4 * 1024 * 1024);
let done = 0;
for (let read; (read = fs.readSync(source, chunk, 0, chunk.length, done)) > 0; ) {
  for (let at = 0; at < read; ) at += fs.writeSync(destination, chunk, at, read - at);
  done += read;
  say({ done, total });
}
`;

const READ_START = `
const file = fs.openSync(order.path, "r");
const start = Buffer.alloc(order.bytes);
say({ start: start.toString("latin1", 0, fs.readSync(file, start, 0, order.bytes, 0)) });
`;

export interface CopyProgress {
  readonly done: number;
  readonly total: number;
}

export interface CopyOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
}

/**
 * Copies a file to a new one, byte by byte, in another process; `to` is not synced.
 *
 * A process that closes any descriptor of a file loses all of its locks on that file. This process may have `from` open
 * as a database, in any of its threads, and SQLite does not notice that its locks are gone.
 */
export async function copyInOtherProcess(from: string, to: string, options: CopyOptions = {}): Promise<void> {
  const onMessage = (message: object) => options.onProgress?.(message as CopyProgress);
  await runScript(COPY, { from, to }, onMessage, options.signal);
}

/** The first bytes of a file that may be a database, as latin1. Another process reads them, for the same reason. */
export async function readStartInOtherProcess(path: string, bytes: number): Promise<string> {
  let found = "";
  await runScript(READ_START, { path, bytes }, (message) => {
    found = (message as { start: string }).start;
  });
  return found;
}

interface Failure {
  readonly failure: { readonly message: string; readonly code?: string; readonly syscall?: string };
}

async function runScript(
  script: string,
  order: object,
  onMessage: (message: object) => void,
  signal?: AbortSignal,
): Promise<void> {
  const { exitCode, reason, stderr } = await runChild<object>(
    `${PRELUDE}${script}process.exit(0);`,
    order,
    { signal },
    (message) => {
      if (!("failure" in message)) return onMessage(message);
      const { message: text, ...details } = (message as Failure).failure;
      throw Object.assign(new Error(text), details);
    },
  );
  if (exitCode !== 0) throw new Error(`Another process, started to read the file, ended with ${reason}: ${stderr}`);
}
