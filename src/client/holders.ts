/** A call that holds a connection for longer than one statement. */
interface Holder {
  readonly what: string;
  readonly since: number;
  /** Created where the connection was requested; its stack is read only if another call times out. */
  readonly trace: Error;
}

/** A transaction that waits for a call made outside of it waits for itself; the client cannot tell that from slow work. */
export const OUTSIDE_CALL_ADVICE =
  "If a transaction waits for a call made outside of it, it never ends: inside its callback, use its own handle (`tx`)";

/** The current holders of connections, which the error of a waiter that times out names. */
export class Holders {
  readonly #holders = new Set<Holder>();

  add(what: string, trace: Error): Holder {
    const holder = { what, since: performance.now(), trace };
    this.#holders.add(holder);
    return holder;
  }

  remove(holder: Holder): void {
    this.#holders.delete(holder);
  }

  /** The end of a sentence that says what is held, for how long, and where in the caller's code it was taken. */
  describe(): string {
    if (this.#holders.size === 0) return "";
    const now = performance.now();
    const list = [...this.#holders].map(
      ({ what, since, trace }) => `${what} taken ${Math.round(now - since)} ms ago${callerOf(trace)}`,
    );
    const isTransaction = [...this.#holders].some(({ what }) => what.endsWith("transaction"));
    const advice = isTransaction ? `. ${OUTSIDE_CALL_ADVICE}` : "";
    return `: still held are ${list.join("; ")}. Release each one in a finally block${advice}`;
  }
}

/** The folder of the package's files. Undefined in a bundle, where frames of the caller are in the same file. */
const OWN_FILES = /^file:.*\/holdfast\/dist\/|^file:.*\.ts$/.test(import.meta.url ?? "")
  ? new URL(".", import.meta.url).pathname
  : undefined;

function callerOf(trace: Error): string {
  const frames = (trace.stack ?? "").split("\n").slice(1);
  const outside = frames.find(
    (frame) => (OWN_FILES === undefined || !frame.includes(OWN_FILES)) && !frame.includes("node:internal"),
  );
  return outside === undefined ? "" : ` ${outside.trim()}`;
}
