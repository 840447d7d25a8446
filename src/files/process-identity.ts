import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** What other processes need to know whether a process still runs. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** The boot of the kernel and its namespace of process ids, if the platform has them. */
  readonly machine?: string | undefined;
  /** When the process started, in the platform's own unit, if it has it: process ids are reused. */
  readonly start?: string | undefined;
}

const MACHINE = readMachine();
const HOST = hostname();
const START = readProcess("self")?.start;

export const THIS_PROCESS: ProcessIdentity = { pid: process.pid, host: HOST, machine: MACHINE, start: START };

/**
 * Whether this process can look for the other one. Two containers may share a host name, and a restarted machine keeps
 * its name, so another `machine` means another host.
 */
export function isOfThisHost({ host, machine }: ProcessIdentity): boolean {
  return host === HOST && (machine === undefined || MACHINE === undefined || machine === MACHINE);
}

/** Whether a process of this host has certainly ended. A new process with its id does not count. */
export function hasEnded({ pid, start }: Pick<ProcessIdentity, "pid" | "start">): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: the process exists and belongs to another user.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return true;
  }
  const found = readProcess(pid);
  if (found === undefined) return false;
  // A zombie no longer runs code. Its parent has not waited for it yet, and perhaps never will.
  if (found.state === "Z" || found.state === "X") return true;
  return start !== undefined && found.start !== start;
}

/** The state and start of a process, on Linux. */
function readProcess(pid: number | "self"): { state: string; start: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the program's name in parentheses, which may contain spaces and parentheses.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields.length < 20 ? undefined : { state: fields[0]!, start: fields[19]! };
  } catch {
    // There is no /proc, or the process has just ended.
    return undefined;
  }
}

function readMachine(): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
    return `${boot} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    // Without these files of Linux, the host name must do.
    return undefined;
  }
}
