import { constants } from "node:os";
import { StorageError } from "../shared/errors.js";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

let controller: AbortController | undefined;
let advice: string | undefined;
let stoppedBy: NodeJS.Signals | undefined;

/**
 * A signal that the first Ctrl-C or SIGTERM aborts; a second one ends the process. `whatThen` says in which state the call
 * leaves the files, and what to do.
 */
export function stopSignal(whatThen: string | undefined): AbortSignal {
  advice = whatThen;
  if (controller !== undefined) return controller.signal;
  const own = new AbortController();
  controller = own;
  const stop = (signal: NodeJS.Signals) => {
    for (const name of SIGNALS) process.off(name, stop);
    stoppedBy = signal;
    own.abort(new StorageError("ABORTED", `Stopped by ${signal}${advice === undefined ? "" : `. ${advice}`}`));
  };
  for (const name of SIGNALS) process.on(name, stop);
  return own.signal;
}

/** The exit code of a call that a signal stopped, as a shell reports it: 130 for Ctrl-C, 143 for SIGTERM. */
export function stoppedExitCode(): number | undefined {
  return stoppedBy === undefined ? undefined : 128 + constants.signals[stoppedBy];
}
