import { statSync } from "node:fs";
import { startChild } from "./child.js";
import { openSecond } from "./clients.js";

/** A participating process: the name of its program in `children/` and its input. */
export interface Participant {
  readonly program: "write-pairs" | "stock-writer" | "checkpoint-loop";
  readonly input: Record<string, unknown>;
}

export interface LoadReport {
  /** Acknowledged transactions, by participant. */
  readonly written: readonly number[];
  /** Acknowledged transactions with missing rows. */
  readonly lost: number;
  /** Results of the participants that are neither BUSY nor success. */
  readonly failures: readonly string[];
  readonly integrity: string;
  readonly largestWalBytes: number;
}

interface Done {
  readonly done?: boolean;
  readonly written?: number;
  readonly failure?: string;
}

/** Runs all participants on the file at `path` at once, and examines the file afterwards. */
export async function runLoad(path: string, participants: readonly Participant[]): Promise<LoadReport> {
  const children = participants.map(({ program, input }) => startChild(program, input));
  let largestWalBytes = 0;
  const timer = setInterval(() => {
    largestWalBytes = Math.max(largestWalBytes, statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0);
  }, 50);
  try {
    const exits = await Promise.all(children.map((child) => child.exited));
    const done = children.map(({ messages }) => (messages as Done[]).find((message) => message.done === true));
    const failures = exits.flatMap(({ code, stderr }, i) => {
      if (done[i]?.failure !== undefined) return [done[i].failure];
      return code === 0 && done[i] !== undefined ? [] : [stderr.trim().split("\n").slice(0, 8).join(" ")];
    });
    const written = done.map((message) => message?.written ?? 0);
    return { written, failures, largestWalBytes, ...inspect(path, sum(written)) };
  } finally {
    clearInterval(timer);
    await Promise.all(children.map((child) => child[Symbol.asyncDispose]()));
  }
}

/** A damaged file may fail at any query. */
function inspect(path: string, acknowledged: number): Pick<LoadReport, "lost" | "integrity"> {
  using file = openSecond(path);
  const ask = <T>(question: () => T): T | string => {
    try {
      return question();
    } catch (error) {
      return String(error);
    }
  };
  const whole =
    "SELECT count(*) FROM (SELECT 1 FROM pairs NOT INDEXED GROUP BY writer, n HAVING sum(half) = 3 AND count(*) = 2)";
  const found = ask(() => file.all(whole)[0]![0] as number);
  const integrity = ask(() => file.all("PRAGMA integrity_check(3)").join(" ").slice(0, 200));
  return { lost: typeof found === "number" ? acknowledged - found : Number.NaN, integrity };
}

export function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

export function describeLoad({ written, lost, failures, integrity, largestWalBytes }: LoadReport): string {
  const mib = (largestWalBytes / 2 ** 20).toFixed(1);
  return `${sum(written)} transactions (${written.join(", ")}), lost ${lost}, integrity ${integrity}, largest WAL ${mib} MiB, failures: ${failures.length === 0 ? "none" : failures.join(" | ")}`;
}
