import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** How a child process ended. */
interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** A child process that reports with lines of JSON on its standard output and reads commands as lines on its input. */
export interface Child extends AsyncDisposable {
  readonly process: ChildProcess;
  /** Every message so far. */
  readonly messages: readonly unknown[];
  /** Resolves to the first message that `matches`, past or future. Rejects if the child ends without one. */
  message<T = Record<string, unknown>>(matches: (message: T) => boolean): Promise<T>;
  /** Writes one line to the child. */
  send(order: unknown): void;
  kill(signal?: NodeJS.Signals): void;
  readonly exited: Promise<ChildExit>;
}

const GUARD = new URL("./children/guard.mjs", import.meta.url).href;

/**
 * Starts `test/support/children/<name>.mjs`, which imports the built package by its name.
 *
 * The child gets `input` as JSON in its first argument, and `env` in addition to the environment of this process.
 * Disposing kills it, and so does any end of this process.
 */
export function startChild(name: string, input: unknown = {}, env: Readonly<Record<string, string>> = {}): Child {
  const file = fileURLToPath(new URL(`./children/${name}.mjs`, import.meta.url));
  const child = spawn(process.execPath, ["--import", GUARD, file, JSON.stringify(input)], {
    stdio: ["pipe", "pipe", "pipe", "pipe"],
    env: { ...process.env, HOLDFAST_TEST_GUARD: String(process.pid), ...env },
  });
  const messages: unknown[] = [];
  const listeners = new Set<() => void>();
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  child.stdio[3]!.on("error", () => undefined);
  // A killed child reads no more commands.
  child.stdin.on("error", () => undefined);
  let hasEnded = false;
  const notify = () => {
    for (const listener of [...listeners]) listener();
  };
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => {
    // The last line of a killed child may be incomplete.
    try {
      messages.push(JSON.parse(line));
    } catch {
      return;
    }
    notify();
  });
  const linesClosed = new Promise<void>((resolve) => lines.once("close", resolve));
  const exited = new Promise<ChildExit>((resolve) => {
    child.once("close", async (code, signal) => {
      await linesClosed;
      hasEnded = true;
      notify();
      resolve({ code, signal, stderr });
    });
  });
  return {
    process: child,
    messages,
    exited,
    message<T>(matches: (message: T) => boolean): Promise<T> {
      return new Promise((resolve, reject) => {
        const look = () => {
          const found = (messages as T[]).find(matches);
          if (found === undefined && !hasEnded) return;
          listeners.delete(look);
          if (found !== undefined) resolve(found);
          else reject(new Error(`${name} ended without the expected message. ${stderr}`));
        };
        listeners.add(look);
        look();
      });
    },
    send(order) {
      child.stdin.write(`${JSON.stringify(order)}\n`);
    },
    kill(signal = "SIGKILL") {
      child.kill(signal);
    },
    async [Symbol.asyncDispose]() {
      if (!hasEnded) child.kill("SIGKILL");
      await exited;
    },
  };
}

/** Runs a child to its end and returns its last message. Rejects if it fails. */
export async function runChild<T = Record<string, unknown>>(
  name: string,
  input: unknown = {},
  env: Readonly<Record<string, string>> = {},
): Promise<T> {
  await using child = startChild(name, input, env);
  const { code, signal, stderr } = await child.exited;
  if (code !== 0) throw new Error(`${name} ended with ${signal ?? code}: ${stderr}`);
  return child.messages.at(-1) as T;
}
