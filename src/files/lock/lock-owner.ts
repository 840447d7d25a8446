import { randomBytes } from "node:crypto";
import { type ProcessIdentity, THIS_PROCESS } from "../process-identity.js";

/** The content of a lock file: the process that holds the lock, since when, and a token that no other lock ever had. */
export interface LockRecord extends ProcessIdentity {
  /** Milliseconds since 1970, by the clock of `host`. */
  readonly since: number;
  /** 32 hexadecimal digits. */
  readonly token: string;
  /** The thread of that process. */
  readonly run?: string | undefined;
}

/** The tokens that this thread holds or asks for, in all copies of the package. */
interface OwnLocks {
  readonly run: string;
  readonly tokens: Set<string>;
}

const KEY = Symbol.for("holdfast.locks");
const shared = globalThis as { [KEY]?: OwnLocks };
shared[KEY] ??= { run: randomBytes(8).toString("hex"), tokens: new Set() };
const OWN: OwnLocks = shared[KEY];

/** This process, as its lock files describe it. */
export function thisProcess(): ProcessIdentity & Pick<LockRecord, "run"> {
  return { ...THIS_PROCESS, run: OWN.run };
}

/** Records that this thread holds a token, or asks for the lock with it. */
export function noteToken(token: string): void {
  OWN.tokens.add(token);
}

export function forgetToken(token: string): void {
  OWN.tokens.delete(token);
}

/** Whether this thread abandoned the lock: its file could not be removed at the release. */
export function isLeftover({ pid, run, token }: LockRecord): boolean {
  return pid === process.pid && run === OWN.run && !OWN.tokens.has(token);
}
