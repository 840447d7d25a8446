import { readFileSync } from "node:fs";
import type { Trace } from "./caller-stack.js";

/** A call that holds a connection for longer than one statement. */
interface Holder {
  readonly what: string;
  readonly since: number;
  /** Where the connection was requested; its stack is read only if another call times out. */
  readonly trace: Trace;
}

/** A transaction that waits for a call made outside of it waits for itself; the client cannot tell that from slow work. */
export const OUTSIDE_CALL_ADVICE =
  "If a transaction waits for a call made outside of it, it never ends: inside its callback, use its own handle (`tx`)";

/** The current holders of connections, which the error of a waiter that times out names. */
export class Holders {
  readonly #holders = new Set<Holder>();

  add(what: string, trace: Trace): Holder {
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

function callerOf({ stack }: Trace): string {
  const own = ownFiles();
  const frames = typeof stack === "string" ? stack.split("\n").slice(1) : [];
  const outside = frames.find((frame) => !(own && frame.includes(own)) && !frame.includes("node:internal"));
  return outside === undefined ? "" : ` ${outside.trim()}`;
}

/** The folder of the package's files. Undefined in a bundle, where the caller's code is in the same file. */
function ownFiles(): string | undefined {
  const module: string | undefined = import.meta.url;
  // Built modules are moved into chunks at the top of `dist`; in `src` this one is a folder further down.
  for (const folder of ["./", "../"]) {
    try {
      const manifest = readFileSync(new URL(`${folder}../package.json`, module), "utf8");
      if (JSON.parse(manifest).name === "holdfast") return new URL(folder, module).pathname;
    } catch {
      // There is no package.json here, or the module has no place of its own.
    }
  }
  return undefined;
}
