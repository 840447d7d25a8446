import { runChild } from "./child.js";

/** The changes of `children/workload.mjs` to the database, by name. */
export const DATABASE_KINDS =
  "insertMemory insertMemories updateMemory deleteOrRestoreMemory purgeMemory batch transaction startSession endSession insertConversation append appendMany appendShared updateMessage fork deleteOrRestoreConversation purgeConversation addGraph addEdge updateNode saveStory saveStories tagStory deleteStory checkpoint".split(
    " ",
  );
/** Those to stories in files. */
export const FILE_KINDS = ["saveFile", "tagFile", "deleteFile"];

/** What is stored under each key, as digests; null stands for nothing. */
type Changes = Readonly<Record<string, string | null>>;

interface Attempt {
  readonly kind: string;
  readonly changes: Changes;
  /** Undefined while nothing is known of its end, and for ever where the process was killed. */
  isStored: boolean | undefined;
}

/** What the programs of `children/workload.mjs` report. */
export interface WorkloadMessage {
  readonly attempt?: number;
  readonly stored?: number;
  readonly refused?: number;
  readonly kind?: string;
  readonly changes?: Changes;
  readonly code?: string;
  readonly outcome?: string;
  readonly message?: string;
}

export interface Comparison {
  /** Acknowledged changes that are not there, or not as they were acknowledged. */
  readonly lost: readonly string[];
  /** Changes of which a part is there. */
  readonly partial: readonly string[];
  /** What is there although it was refused, or was never asked for; and what is there twice. */
  readonly extra: readonly string[];
  /** What a check of the file found. */
  readonly problems: readonly string[];
}

/** What several processes have said of their changes; kept outside of them, so that it outlives them. */
export class Ledger {
  readonly #attempts: Attempt[] = [];
  #acknowledged = 0;

  /** Changes that were acknowledged. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Takes down what one process has said, in its order; changes without an end may or may not have been stored. */
  add(messages: readonly unknown[]): void {
    const byNumber = new Map<number, Attempt>();
    for (const message of messages as WorkloadMessage[]) {
      if (message.attempt !== undefined) {
        const attempt = { kind: message.kind!, changes: message.changes!, isStored: undefined };
        byNumber.set(message.attempt, attempt);
        this.#attempts.push(attempt);
      }
      if (message.stored !== undefined) {
        byNumber.get(message.stored)!.isStored = true;
        this.#acknowledged++;
      }
      // The error said that it may have been stored.
      if (message.refused !== undefined && message.outcome !== "unknown") {
        byNumber.get(message.refused)!.isStored = false;
      }
    }
  }

  /** Compares with what a fresh process reads. */
  compare(values: ReadonlyMap<string, string>): Omit<Comparison, "problems"> {
    const expected = new Map<string, string | null>();
    const open: Attempt[] = [];
    for (const attempt of this.#attempts) {
      if (attempt.isStored === undefined) open.push(attempt);
      // A change that failed leaves everything as it was, so that its keys are looked at too.
      for (const [key, value] of Object.entries(attempt.changes)) {
        if (attempt.isStored === true) expected.set(key, value);
        else if (!expected.has(key)) expected.set(key, null);
      }
    }
    const partial: string[] = [];
    const found = (key: string) => values.get(key) ?? null;
    for (const { kind, changes } of open) {
      const keys = Object.keys(changes);
      const isAfter = keys.every((key) => found(key) === changes[key]);
      if (!isAfter && !keys.every((key) => found(key) === expected.get(key))) {
        partial.push(
          `${kind}: ${keys.map((key) => `${key} ${found(key) === changes[key] ? "after" : "before"}`).join(", ")}`,
        );
      }
      for (const key of keys) expected.set(key, found(key));
    }
    const lost = [...expected].filter(([key, value]) => value !== null && found(key) !== value).map(([key]) => key);
    const gone = [...expected].filter(([key, value]) => value === null && found(key) !== null).map(([key]) => key);
    const extra = [...gone, ...[...values.keys()].filter((key) => !expected.has(key))];
    return { lost, partial, extra };
  }
}

/** Has a fresh process read everything in `dir`, and compares it with the ledger. */
export async function compareAfterwards(dir: string, ledger: Ledger): Promise<Comparison> {
  interface Found {
    readonly values: [string, string][];
    readonly problems: string[];
  }
  const { values, problems } = await runChild<Found>("read-everything", { dir });
  return { ...ledger.compare(new Map(values)), problems };
}

/** How many things are wrong. */
export function countWrong({ lost, partial, extra, problems }: Comparison): number {
  return lost.length + partial.length + extra.length + problems.length;
}

/** What a comparison is to equal. */
export const NOTHING_WRONG: Comparison = { lost: [], partial: [], extra: [], problems: [] };
