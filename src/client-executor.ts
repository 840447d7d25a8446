import type { Client } from "@libsql/client";
import type { Executor } from "./repositories/executor.js";
import type { Statement } from "./repositories/statements.js";

/** Runs the work of repositories on a client: each call its own transaction. */
export class ClientExecutor implements Executor {
  readonly #client: Client;
  readonly #onError: (error: unknown) => void;

  constructor(client: Client, onError: (error: unknown) => void) {
    this.#client = client;
    this.#onError = onError;
  }

  execute(statement: Statement) {
    return this.#watched(() => this.#client.execute(statement));
  }

  batch(statements: readonly Statement[]) {
    return this.#watched(() => this.#client.batch([...statements], "deferred"));
  }

  atomically<T>(work: (executor: Executor) => Promise<T>): Promise<T> {
    return this.#watched(async () => {
      const transaction = await this.#client.transaction("write");
      try {
        const executor: Executor = {
          execute: (statement) => transaction.execute(statement),
          batch: (statements) => transaction.batch([...statements]),
          atomically: (more) => more(executor),
        };
        const result = await work(executor);
        await transaction.commit();
        return result;
      } finally {
        transaction.close();
      }
    });
  }

  async #watched<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#onError(error);
      throw error;
    }
  }
}
