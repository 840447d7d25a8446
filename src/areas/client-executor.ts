import type { Transaction } from "@libsql/client";
import type { EngineClient } from "../client/storage-client.js";
import { asStorageErrors, toStorageError } from "../client/storage-error.js";
import { InFlight } from "../shared/in-flight.js";
import type { Executor, Snapshot } from "./executor.js";
import { hasMoved } from "./optimistic.js";
import type { Statement } from "./statements.js";

/** Runs the work of repositories on a client: each call its own transaction. */
export class ClientExecutor implements Executor {
  readonly #client: EngineClient;
  readonly #onError: (error: unknown) => void;
  /** A write of one statement is not among them: the client lets it finish. */
  readonly #writes = new InFlight();

  constructor(client: EngineClient, onError: (error: unknown) => void) {
    this.#client = client;
    this.#onError = onError;
  }

  get mayLag(): boolean {
    return this.#client.local === undefined;
  }

  get refusesWrites(): boolean {
    return this.#client.local?.refusesWrites === true;
  }

  assertOutside(): void {
    this.#client.guard?.("write");
  }

  get database(): object | undefined {
    return this.#client.local?.pool;
  }

  /** Resolves when the writes that are running now have settled; undefined if there are none. */
  settledNow(): Promise<unknown> | undefined {
    return this.#writes.settledNow();
  }

  async finishing<T>(work: () => Promise<T>): Promise<T> {
    return await this.#writes.track(work());
  }

  execute(statement: Statement) {
    return this.#watched(() => this.#client.execute(statement));
  }

  scan(statement: Statement) {
    return this.#watched(() => this.#client.scan(statement));
  }

  batch(statements: readonly Statement[]) {
    return this.#watched(() => this.#client.batch([...statements], "deferred"));
  }

  atomically<T>(work: (executor: Executor) => Promise<T>): Promise<T> {
    const run = async () => {
      const transaction = await this.#client.transaction("write");
      try {
        const executor = transactionExecutor(transaction);
        const result = await work(executor);
        await transaction.commit();
        return result;
      } finally {
        transaction.close();
      }
    };
    return this.#watched(() => this.finishing(run));
  }

  snapshot(): Promise<Snapshot> {
    return this.#watched(async () => {
      // A transaction would block all other calls on the only connection until the snapshot is closed.
      if (this.#client.local?.hasOneConnection === true) {
        return { executor: this, isStable: false, close: () => undefined };
      }
      const transaction = await this.#client.transaction("read");
      return { executor: transactionExecutor(transaction), isStable: true, close: () => transaction.close() };
    });
  }

  async #watched<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      const error = toStorageError(cause);
      // Another client was faster: the caller reads again, and nothing has failed.
      if (!hasMoved(error)) this.#onError(error);
      throw error;
    }
  }
}

/** Runs the work of repositories within an open transaction; the caller that opened it ends it. */
export function transactionExecutor(transaction: Pick<Transaction, "execute" | "batch">): Executor {
  const execute = (statement: Statement) => asStorageErrors(() => transaction.execute(statement));
  const executor: Executor = {
    execute,
    scan: execute,
    batch: (statements) => asStorageErrors(() => transaction.batch([...statements])),
    atomically: (more) => more(executor),
    snapshot: async () => ({ executor, isStable: true, close: () => undefined }),
  };
  return executor;
}
