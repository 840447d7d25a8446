import { LibsqlBatchError, LibsqlError, type ResultSet } from "@libsql/client/sqlite3";
import { withoutCode } from "../../shared/errors.js";
import type { Turn, TurnLimit } from "../../shared/turn.js";
import type { BoundStatement } from "../sql/bound-statement.js";
import { isAnswerTooLarge } from "./remote-error.js";

/** Most writes of one request. */
const MAX_GROUP = 200;

interface Write {
  readonly bound: BoundStatement;
  readonly resolve: (result: ResultSet) => void;
  readonly reject: (error: unknown) => void;
}

interface WriteGroupContext {
  /** The turn of the client's only writer. */
  readonly turn: Turn;
  readonly limit: TurnLimit;
  /** Sends one statement, or several in one transaction. */
  readonly send: (statements: readonly BoundStatement[]) => Promise<ResultSet[]>;
}

/**
 * Single writes that wait at the same time travel in one request and share its transaction; each has its own result.
 *
 * The server has one writer: sent side by side they would compete for its lock, and some would not get it in time.
 * One that fails by its own fault takes the transaction down, which stores nothing: the others are sent again.
 */
export class WriteGroup {
  readonly #context: WriteGroupContext;
  #waiting: Write[] = [];
  #isRunning = false;

  constructor(context: WriteGroupContext) {
    this.#context = context;
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }

  run(bound: BoundStatement): Promise<ResultSet> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ bound, resolve, reject });
      if (!this.#isRunning) void this.#drain();
    });
  }

  /** Refuses all that wait. */
  refuseAll(error: () => Error): void {
    for (const write of this.#waiting.splice(0)) write.reject(error());
  }

  async #drain(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      const { turn, limit } = this.#context;
      try {
        await turn.take(limit);
      } catch (error) {
        // The oldest write has waited too long; the others have not.
        this.#waiting.shift()?.reject(error);
        continue;
      }
      try {
        await this.#store(this.#waiting.splice(0, MAX_GROUP));
      } finally {
        turn.pass();
      }
    }
    this.#isRunning = false;
  }

  async #store(group: readonly Write[]): Promise<void> {
    let left = group;
    while (left.length > 0) {
      try {
        const results = await this.#context.send(left.map(({ bound }) => bound));
        for (const [index, write] of left.entries()) write.resolve(results[index] as ResultSet);
        return;
      } catch (error) {
        const culprit = left.length === 1 ? 0 : culpritOf(error);
        if (culprit !== undefined) {
          left[culprit]!.reject(error instanceof LibsqlBatchError ? asOwn(error) : error);
          left = left.filter((_, index) => index !== culprit);
        } else if (isOfOne(error)) {
          // Nothing was stored, and it is not said which of them it was: each by itself then.
          for (const write of left) await this.#store([write]);
          return;
        } else {
          for (const write of left) write.reject(error);
          return;
        }
      }
    }
  }
}

/** The statement by whose own fault the batch failed. */
function culpritOf(error: unknown): number | undefined {
  const isOwn =
    error instanceof LibsqlBatchError && /^SQLITE_(CONSTRAINT|ERROR|UNKNOWN|MISMATCH|TOOBIG|RANGE)$/.test(error.code);
  return isOwn ? error.statementIndex : undefined;
}

/** Whether one statement is to blame: it was refused before anything ran, or its rows are too many for an answer. */
function isOfOne(error: unknown): boolean {
  return (error as LibsqlError).code?.startsWith("SQL_") === true || isAnswerTooLarge(error);
}

/** The error of a statement in a batch as the error of a single call. */
function asOwn(error: LibsqlBatchError): LibsqlError {
  const { code, extendedCode, rawCode, cause } = error;
  return new LibsqlError(withoutCode(error), code, extendedCode, rawCode, cause instanceof Error ? cause : undefined);
}
