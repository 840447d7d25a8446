import {
  type InArgs,
  type InStatement,
  LibsqlError,
  type Replicated,
  type ResultSet,
  type TransactionMode,
} from "@libsql/client/sqlite3";
import { atCaller } from "./caller-stack.js";
import type { ClientTransaction } from "./savepoints.js";
import type { StatementInput } from "./sql/bound-statement.js";
import { type ClientStats, localOnly, NO_POOL_STATS, type StorageClient } from "./storage-client.js";

/**
 * A client that takes time to open: the first call opens it, and if that fails, the next call tries again.
 * It behaves like the client that it opens; until then, `stats()` has no `remote`.
 */
export class LateClient implements StorageClient {
  readonly protocol = "file";
  readonly #open: () => Promise<StorageClient>;
  #opened: Promise<StorageClient> | undefined;
  #client: StorageClient | undefined;
  #isClosed = false;

  constructor(open: () => Promise<StorageClient>) {
    this.#open = open;
  }

  get closed(): boolean {
    return this.#isClosed;
  }

  get pool(): never {
    throw localOnly("pool");
  }

  stats(): ClientStats {
    return this.#client?.stats() ?? NO_POOL_STATS;
  }

  async checkpoint(): Promise<never> {
    throw localOnly("checkpoint()");
  }

  async execute(statement: InStatement, args?: InArgs): Promise<ResultSet> {
    const client = await this.opened();
    return args === undefined ? client.execute(statement) : client.execute(statement as string, args);
  }

  async batch(statements: StatementInput[], mode?: TransactionMode): Promise<ResultSet[]> {
    return (await this.opened()).batch(statements, mode);
  }

  async migrate(statements: InStatement[]): Promise<ResultSet[]> {
    return (await this.opened()).migrate(statements);
  }

  async executeMultiple(sql: string): Promise<void> {
    return (await this.opened()).executeMultiple(sql);
  }

  async transaction(mode?: TransactionMode): Promise<ClientTransaction> {
    return (await this.opened()).transaction(mode);
  }

  async sync(): Promise<Replicated> {
    return (await this.opened()).sync();
  }

  async reconnect(): Promise<void> {
    await (await this.opened()).reconnect();
  }

  /** `closed` is true at once; resolves when the underlying client is closed too. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const client = await this.#opened?.catch(() => undefined);
    await client?.close();
  }

  /** The underlying client, which this opens if it is not open. */
  async opened(): Promise<StorageClient> {
    if (this.#isClosed) throw new LibsqlError("The client is closed", "CLIENT_CLOSED");
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    try {
      this.#client = await this.#opened;
    } catch (error) {
      throw atCaller(error, this.opened);
    }
    return this.#client;
  }
}
