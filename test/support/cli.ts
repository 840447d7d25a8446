import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export const cliProgram = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** @default that of this repository, built */
  readonly program?: string;
}

/** Runs the built `holdfast` to its end, without the settings of this process. */
export function holdfast(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return runToEnd(process.execPath, [options.program ?? cliProgram, ...args], options);
}

/** Runs it in a real terminal of `columns`, which `script` of util-linux creates. */
export function holdfastInTerminal(
  args: readonly string[],
  columns = 80,
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  const words = [process.execPath, cliProgram, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  return runToEnd("script", ["-qec", `stty cols ${columns}; ${words.join(" ")}`, "/dev/null"], { env });
}

/** Runs it in a terminal in `cwd`, and presses `keys` once, when its output has `prompt`. */
export function holdfastAtPrompt(
  args: readonly string[],
  { cwd, prompt, keys }: { readonly cwd: string; readonly prompt: string; readonly keys: string },
): Promise<CliResult> {
  const words = [process.execPath, cliProgram, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  return new Promise((resolve, reject) => {
    const child = spawn("script", ["-qec", `stty cols 120; ${words.join(" ")}`, "/dev/null"], { cwd, stdio: "pipe" });
    let stdout = "";
    let isAnswered = false;
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
      if (isAnswered || !stdout.includes(prompt)) return;
      isAnswered = true;
      child.stdin.write(keys);
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr: "" }));
  });
}

/** Runs it with its standard output on a device that is always full. */
export function holdfastToFullDisk(args: readonly string[]): Promise<CliResult> {
  return runToEnd("sh", ["-c", 'exec "$@" > /dev/full', "sh", process.execPath, cliProgram, ...args], {});
}

/** What the command would take from the environment of the tests. */
const SETTINGS = ["HOLDFAST_URL", "HOLDFAST_DATA_DIR", "HOLDFAST_ENCRYPTION_KEY", "NO_COLOR", "FORCE_COLOR"];

function runToEnd(program: string, args: readonly string[], { cwd, env, input }: CliOptions): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const environment: NodeJS.ProcessEnv = { ...process.env, TERM: "xterm" };
    for (const name of SETTINGS) delete environment[name];
    const child = spawn(program, args, { cwd, env: { ...environment, ...env }, stdio: "pipe" });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      stderr += text;
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
    child.stdin.on("error", () => undefined);
    child.stdin.end(input ?? "");
  });
}
