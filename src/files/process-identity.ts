import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** A process, as other processes can tell whether it still runs. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** Which run of which kernel, and which world of process ids in it, where the platform tells. */
  readonly machine?: string | undefined;
  /** When the process started, in the platform's own unit, where it tells: process ids are used again. */
  readonly start?: string | undefined;
}

const MACHINE = readMachine();
const HOST = hostname();
const START = readProcess("self")?.start;

export const THIS_PROCESS: ProcessIdentity = { pid: process.pid, host: HOST, machine: MACHINE, start: START };

/**
 * Whether the process can be asked after from here. Two containers may share a name, and a machine that was restarted
 * has its name still: what differs in `machine` is another host.
 */
export function isOfThisHost({ host, machine }: ProcessIdentity): boolean {
  return host === HOST && (machine === undefined || MACHINE === undefined || machine === MACHINE);
}

/** Whether a process of this host has ended for certain; a new one with its id is not it. */
export function hasEnded({ pid, start }: Pick<ProcessIdentity, "pid" | "start">): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: there is one, of another user.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return true;
  }
  const found = readProcess(pid);
  if (found === undefined) return false;
  // A zombie runs no code any more; its parent just has not asked after it, and perhaps never will.
  if (found.state === "Z" || found.state === "X") return true;
  return start !== undefined && found.start !== start;
}

/** The state and start of a process, on Linux. */
function readProcess(pid: number | "self"): { state: string; start: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields.length < 20 ? undefined : { state: fields[0]!, start: fields[19]! };
  } catch {
    // No /proc, or the process has just ended: nothing more is known than what kill said.
    return undefined;
  }
}

function readMachine(): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
    return `${boot} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    // Not Linux: the host's name has to do.
    return undefined;
  }
}
