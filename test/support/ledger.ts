import { runChild } from "./child.js";

/** The changes of `children/workload.mjs` to the database, by name. */
export const DATABASE_KINDS =
  "insertMemory insertMemories updateMemory deleteOrRestoreMemory purgeMemory batch transaction startSession endSession insertConversation append appendMany appendShared updateMessage fork deleteOrRestoreConversation purgeConversation addGraph addEdge updateNode saveStory saveStories tagStory deleteStory checkpoint".split(
    " ",
  );
/** The changes to stories in files. */
export const FILE_KINDS = ["saveFile", "tagFile", "deleteFile"];

/** The stored values by key, as digests. Null means that nothing is stored. */
type Changes = Readonly<Record<string, string | null>>;

interface Attempt {
  readonly kind: string;
  readonly changes: Changes;
  /** Undefined until the end of the change is known, and permanently if the process was killed. */
  isStored: boolean | undefined;
}

/** The reports of the programs that use `children/workload.mjs`. */
interface WorkloadMessage {
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
  /** Acknowledged changes that are missing or differ. */
  readonly lost: readonly string[];
  /** Changes that are stored only in part. */
  readonly partial: readonly string[];
  /** Values that are stored although they were refused or never requested, and values that are stored twice. */
  readonly extra: readonly string[];
  /** The findings of a check of the file. */
  readonly problems: readonly string[];
}

/** The reports of several processes about their changes. It is kept outside of the processes, so it survives them. */
export class Ledger {
  readonly #attempts: Attempt[] = [];
  #acknowledged = 0;

  /** The number of acknowledged changes. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Records the reports of one process in their order. A change without an end may or may not have been stored. */
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

  /** Compares the ledger with what a fresh process reads. */
  compare(values: ReadonlyMap<string, string>): Omit<Comparison, "problems"> {
    const expected = new Map<string, string | null>();
    const open: Attempt[] = [];
    for (const attempt of this.#attempts) {
      if (attempt.isStored === undefined) open.push(attempt);
      // A failed change must not change anything, so its keys are compared too.
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

/** Lets a fresh process read everything in `dir`, and compares it with the ledger. */
export async function compareAfterwards(dir: string, ledger: Ledger): Promise<Comparison> {
  interface Found {
    readonly values: [string, string][];
    readonly problems: string[];
  }
  const { values, problems } = await runChild<Found>("read-everything", { dir });
  return { ...ledger.compare(new Map(values)), problems };
}

/** The number of problems. */
export function countWrong({ lost, partial, extra, problems }: Comparison): number {
  return lost.length + partial.length + extra.length + problems.length;
}

/** The expected result of a comparison. */
export const NOTHING_WRONG: Comparison = { lost: [], partial: [], extra: [], problems: [] };
