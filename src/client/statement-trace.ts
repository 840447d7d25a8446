import type { ResultSet } from "@libsql/client/sqlite3";
import type { Role, StatementMessage } from "./diagnostics.js";

export interface CallTraits {
  readonly role: Role;
  /** Whether the call has its connection already, and so takes none. */
  readonly isWithin?: boolean;
  /** Whether it runs at once unless the engine says otherwise. By default, it waits until the engine starts it. */
  readonly isImmediate?: boolean;
}

/** The times of one statement. The engine notes when it starts, because the time before that is waiting. */
export class StatementTrace {
  readonly #sql: string;
  readonly #calledAt = performance.now();
  #role: Role;
  #startedAt: number | undefined;
  #endedAt: number | undefined;
  #rows: number | undefined;

  constructor(sql: string, { role, isImmediate = false }: CallTraits) {
    this.#sql = sql;
    this.#role = role;
    if (isImmediate) this.#startedAt = this.#calledAt;
  }

  get hasStarted(): boolean {
    return this.#startedAt !== undefined;
  }

  get hasEnded(): boolean {
    return this.#endedAt !== undefined;
  }

  get role(): Role {
    return this.#role;
  }

  /** The time before it started. If it has not, that is all the time until now. */
  get waitMs(): number {
    return (this.#startedAt ?? performance.now()) - this.#calledAt;
  }

  /** Notes that it runs now. The last of several calls counts: an attempt that found a lock is part of the waiting. */
  start(role = this.#role): void {
    this.#role = role;
    this.#startedAt = performance.now();
    this.#endedAt = undefined;
  }

  end(result?: ResultSet): void {
    this.#endedAt = performance.now();
    if (result === undefined) return;
    this.#rows = result.columns.length > 0 ? result.rows.length : result.rowsAffected;
  }

  message(failure: { readonly error?: unknown }, waitMs = this.waitMs): StatementMessage {
    const endedAt = this.#endedAt ?? performance.now();
    const durationMs = endedAt - (this.#startedAt ?? endedAt);
    const rows = this.#rows === undefined || "error" in failure ? {} : { rows: this.#rows };
    return { sql: this.#sql, durationMs, waitMs, ...rows, role: this.#role, ...failure };
  }
}
