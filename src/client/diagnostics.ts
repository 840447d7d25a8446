import { type Channel, channel } from "node:diagnostics_channel";
import { withoutValues } from "./quoted-values.js";

export type Role = "reader" | "writer";

/** A message of the channel `holdfast:statement`: a statement, or a script of `executeMultiple`, has ended. */
export interface StatementMessage {
  /** The SQL as it was given, without the values of its parameters. */
  readonly sql: string;
  /** The time from its start to its result, in ms. That of a single write includes its commit. */
  readonly durationMs: number;
  /** The time before its start, in ms: it waited for a connection, for its turn, or for another process's write lock. */
  readonly waitMs: number;
  /** The rows that it returned, or that a write without RETURNING changed. Missing after an error, and for a script. */
  readonly rows?: number;
  /** `writer` if it writes, `reader` if not. In a transaction or a checkout: the role of its connection. */
  readonly role: Role;
  /** What the call rejected with; without its message if that may quote the value of a parameter. */
  readonly error?: unknown;
}

/** A message of the channel `holdfast:transaction`: a `transaction()`, a `batch()` or a `migrate()` has ended. */
export interface TransactionMessage {
  /** The time from BEGIN to the end, in ms. */
  readonly durationMs: number;
  /** The time before BEGIN, in ms. */
  readonly waitMs: number;
  readonly role: Role;
  readonly state: "committed" | "rolledBack";
  /** What the begin, the batch or the commit rejected with. */
  readonly error?: unknown;
}

/**
 * A message of the channel `holdfast:wait`: a call has got a connection or its turn, or has given up. Calls that need not
 * wait in any case send none: reads on the shared reader, and statements of an open transaction.
 */
export interface WaitMessage {
  /** The time from the call until it could run, in ms. */
  readonly waitMs: number;
  readonly role: Role;
  /** What the call rejected with, if it gave up: for example ACQUIRE_TIMEOUT. */
  readonly error?: unknown;
}

/** A message of the channel `holdfast:checkpoint`: the engine has moved a log into its database file. */
export interface CheckpointMessage {
  readonly durationMs: number;
  /** Frames of the log that are in the database file now. */
  readonly frames: number;
  /** Whether a reader kept frames from being moved, or the log from being overwritten. */
  readonly busy: boolean;
}

interface Messages {
  readonly statement: StatementMessage;
  readonly transaction: TransactionMessage;
  readonly wait: WaitMessage;
  readonly checkpoint: CheckpointMessage;
}

type Subscriber = (message: unknown, name: string | symbol) => void;

const statements = channel("holdfast:statement");
const transactions = channel("holdfast:transaction");
const waits = channel("holdfast:wait");
const checkpoints = channel("holdfast:checkpoint");
const CHANNELS: Readonly<Record<keyof Messages, Channel>> = {
  statement: statements,
  transaction: transactions,
  wait: waits,
  checkpoint: checkpoints,
};

const blamed = new WeakSet<Subscriber>();

/** Whether anyone subscribes to what calls send. Every call asks this first, and does nothing else if not. */
export function areCallsObserved(): boolean {
  return statements.hasSubscribers || transactions.hasSubscribers || waits.hasSubscribers;
}

export function areCheckpointsObserved(): boolean {
  return checkpoints.hasSubscribers;
}

/** Gives a message to all subscribers. If one throws, the others get it nevertheless, and the process gets a warning. */
export function publish<Name extends keyof Messages>(name: Name, made: Messages[Name]): void {
  const target = CHANNELS[name];
  if (!target.hasSubscribers) return;
  const message = "error" in made ? { ...made, error: withoutValues(made.error) } : made;
  // `publish` turns the error of a subscriber into an uncaught exception, which ends the process.
  const { _subscribers: subscribers } = target as { _subscribers?: readonly Subscriber[] };
  if (!Array.isArray(subscribers)) {
    target.publish(message);
    return;
  }
  for (const subscriber of [...subscribers] as Subscriber[]) {
    try {
      subscriber(message, target.name);
    } catch (error) {
      warnOnce(subscriber, String(target.name), error);
    }
  }
}

/** Once for each subscriber: one that throws probably does so at every message. */
function warnOnce(subscriber: Subscriber, name: string, error: unknown): void {
  if (blamed.has(subscriber)) return;
  blamed.add(subscriber);
  process.emitWarning(`A subscriber of the channel ${name} threw: ${String((error as Error)?.stack ?? error)}`);
}
