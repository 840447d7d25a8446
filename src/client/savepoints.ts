import {
  type InArgs,
  type InStatement,
  LibsqlError,
  type ResultSet,
  type Transaction,
  type TransactionMode,
} from "@libsql/client/sqlite3";
import { expectation } from "../shared/expectation.js";
import type { StatementInput } from "./sql/bound-statement.js";
import type { ParsedStatement } from "./sql/parse.js";

/** Where a transaction stands. */
export type TransactionState = "active" | "committed" | "rolledBack";

/** A point to roll back to, made by `ClientTransaction.savepoint`. */
export interface Savepoint {
  readonly name: string;
}

/** An interactive transaction: that of @libsql/client, with its state and with savepoints. */
export interface ClientTransaction extends Transaction {
  readonly mode: TransactionMode;
  /** Runs one statement in the transaction. */
  execute(statement: InStatement, args?: InArgs): Promise<ResultSet>;
  /** Runs the statements in order. If one fails, the earlier ones stay; roll back to undo them. */
  batch(statements: readonly StatementInput[]): Promise<ResultSet[]>;
  /** After a commit that was rejected it is `rolledBack`; if the outcome is unknown, the error says so. */
  readonly state: TransactionState;
  /** The number of open savepoints. */
  readonly depth: number;
  /** Marks a point to roll back to. Marks nest: rolling back to one, or releasing it, ends the later ones. */
  savepoint(): Promise<Savepoint>;
  /** Undoes the changes since `mark`, which stays open; rejects with `SAVEPOINT_CLOSED` if it has ended. */
  rollbackTo(mark: Savepoint): Promise<void>;
  /** Ends `mark` and keeps the changes since; rejects with `SAVEPOINT_CLOSED` if it has ended. */
  release(mark: Savepoint): Promise<void>;
}

interface OpenSavepoint {
  readonly name: string;
  /** Rolled back to but not released, as Drizzle leaves it: a new savepoint of that name may replace it. */
  isRolledBack: boolean;
}

/** The open savepoints of one transaction, the outermost first. */
export class Savepoints {
  readonly #open: OpenSavepoint[] = [];
  #count = 0;

  get depth(): number {
    return this.#open.length;
  }

  /** A name for a new savepoint. */
  next(): Savepoint {
    return { name: `holdfast_${++this.#count}` };
  }

  /** The innermost open savepoint of this name. */
  find(name: string): OpenSavepoint | undefined {
    return this.#open.findLast((savepoint) => savepoint.name === name);
  }

  /** Throws unless `mark` is an open savepoint of this transaction. */
  assertOpen(mark: Savepoint): void {
    if (typeof mark?.name !== "string")
      throw new TypeError(expectation("mark", "a savepoint of this transaction", mark));
    if (this.find(mark.name) === undefined)
      throw new LibsqlError(`The savepoint ${mark.name} has ended`, "SAVEPOINT_CLOSED");
  }

  /** Notes the effect of a statement that has run. */
  follow({ kind, savepoint }: ParsedStatement): void {
    if (savepoint === undefined) return;
    if (kind === "savepoint") {
      this.#open.push({ name: savepoint, isRolledBack: false });
      return;
    }
    const found = this.find(savepoint);
    if (found === undefined) return;
    this.endFrom(found);
    if (kind === "rollbackTo") this.#open.push({ name: savepoint, isRolledBack: true });
  }

  /** Notes that `savepoint` and those inside it have ended. */
  endFrom(savepoint: OpenSavepoint): void {
    this.#open.length = this.#open.indexOf(savepoint);
  }

  clear(): void {
    this.#open.length = 0;
  }
}
