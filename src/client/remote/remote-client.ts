import { setTimeout as sleep } from "node:timers/promises";
import {
  type Client,
  type Config,
  type InArgs,
  type InStatement,
  LibsqlError,
  type Replicated,
  type ResultSet,
  type TransactionMode,
} from "@libsql/client/sqlite3";
import { InFlight } from "../../shared/in-flight.js";
import { MAX_TIMER_MS, type Timer } from "../../shared/timers.js";
import { Turn, type TurnLimit } from "../../shared/turn.js";
import type { SettledClientConfig } from "../config.js";
import { areCallsObserved } from "../diagnostics.js";
import { OUTSIDE_CALL_ADVICE } from "../holders.js";
import {
  type BoundStatement,
  bindEach,
  bindInput,
  expectMode,
  expectSql,
  expectStatements,
  type StatementInput,
} from "../sql/bound-statement.js";
import { firstWord, type StatementKind } from "../sql/parse.js";
import type { StatementTrace } from "../statement-trace.js";
import {
  type Access,
  type ClientStats,
  type EngineClient,
  localOnly,
  NO_POOL_STATS,
  type RemoteStats,
} from "../storage-client.js";
import { tracedBatch, tracedBegin, tracedStatement } from "../traced-calls.js";
import { guardedFetch, originOf } from "./guarded-fetch.js";
import { isDropped, timedOut, toRemoteError } from "./remote-error.js";
import { RemoteTransaction } from "./remote-transaction.js";
import { isDml, isRead, toStock } from "./statements.js";
import { WriteGroup } from "./write-group.js";

interface RemoteClientOptions {
  /** The HTTP client of @libsql/client. It loads slowly (bench: startUp), so only a server or replica loads it. */
  readonly createStockClient: (config: Config) => Client;
  readonly config: SettledClientConfig;
  readonly requestTimeoutMs: number;
  /** Most bytes of an answer. */
  readonly maxResponseBytes: number;
  readonly acquireTimeoutMs: number;
  /** Takes secrets out of a text. */
  readonly redact: (text: string) => string;
}

/** Requests that the server is given at once, as in @libsql/client. */
const DEFAULT_CONCURRENCY = 20;

/**
 * A client for a libSQL server: the one of @libsql/client, with a time limit on every request, errors that tell what
 * became of a write, the checks and conversions of arguments that files have, and turns for transactions.
 */
export class RemoteClient implements EngineClient {
  readonly #stock: Client;
  readonly #options: RemoteClientOptions;
  /** Its address, without the path and the parameters of the URL. */
  readonly #server: string;
  /** Requests at a time. */
  readonly #slots: Turn;
  /**
   * The turn of the writer. The server has one writer, and takes the lock from a holder if others wait long for it:
   * so the writes of one client wait here, where waiting has no such effect.
   */
  readonly #writers = new Turn();
  readonly #writerLimit: TurnLimit;
  readonly #group: WriteGroup;
  readonly #calls = new InFlight();
  readonly #transactions = new Set<RemoteTransaction>();
  #isClosed = false;
  #requests = 0;
  #unavailable = 0;
  guard: ((access: Access) => void) | undefined;

  constructor(options: RemoteClientOptions) {
    this.#options = options;
    const { config, requestTimeoutMs, acquireTimeoutMs } = options;
    this.#writerLimit = { timeoutMs: acquireTimeoutMs, onTimeout: () => acquireTimeout(acquireTimeoutMs) };
    const { concurrency = DEFAULT_CONCURRENCY } = config;
    this.#slots = new Turn(concurrency);
    this.#group = new WriteGroup({
      turn: this.#writers,
      limit: this.#writerLimit,
      send: (statements) => this.#whileBusy(() => this.#callInSlot(true, () => this.#sendWrites(statements))),
    });
    this.#server = originOf(config.url, config.tls);
    const send = guardedFetch({
      fetch: (config.fetch ?? fetch) as typeof fetch,
      origin: this.#server,
      maxBytes: options.maxResponseBytes,
    });
    this.#stock = options.createStockClient({
      ...config,
      // Waiting is done here, where it can end: nothing that was given up may be sent later.
      concurrency: Number.MAX_SAFE_INTEGER,
      fetch: (request: Request) => {
        // sqld packs answers in shreds of some 100 bytes, which Node is slow to unpack.
        request.headers.set("accept-encoding", "identity");
        const signal = requestTimeoutMs > MAX_TIMER_MS ? undefined : AbortSignal.timeout(requestTimeoutMs);
        return send(request, signal === undefined ? {} : { signal });
      },
    });
  }

  get protocol(): string {
    return this.#stock.protocol;
  }

  get closed(): boolean {
    return this.#isClosed;
  }

  readonly local = undefined;

  get pool(): never {
    throw localOnly("pool");
  }

  stats(): ClientStats & { readonly remote: RemoteStats } {
    const active = this.#slots.activeCount + this.#transactions.size;
    const waiting = this.#slots.waitingCount + this.#writers.waitingCount + this.#group.waitingCount;
    const remote = { requests: this.#requests, unavailable: this.#unavailable, active, waiting };
    return { ...NO_POOL_STATS, remote };
  }

  async execute(input: InStatement, args?: InArgs): Promise<ResultSet> {
    const bound = this.bind(typeof input === "string" && args !== undefined ? { sql: input, args } : input);
    const isWrite = !isRead(bound);
    assertWhole(bound, ["begin", "commit", "rollback", "savepoint", "release", "rollbackTo"]);
    this.assertUsable(isWrite ? "write" : "read");
    if (!areCallsObserved()) return this.#execute(bound, isWrite);
    const role = isWrite ? "writer" : "reader";
    return tracedStatement(bound.statement.sql, { role }, (trace) => this.#execute({ ...bound, trace }, isWrite));
  }

  #execute(bound: BoundStatement, isWrite: boolean): Promise<ResultSet> {
    // VACUUM and the like take no company.
    const isAlone = !isWrite || bound.statement.kind !== "write" || !isDml(bound);
    if (!isAlone) return this.#calls.track(this.#group.run(bound));
    return this.#call(isWrite, () => {
      bound.trace?.start();
      return this.#stock.execute(toStock(bound));
    });
  }

  scan(input: StatementInput): Promise<ResultSet> {
    return this.execute(input as InStatement);
  }

  async batch(inputs: StatementInput[], mode: TransactionMode = "deferred"): Promise<ResultSet[]> {
    expectMode(mode);
    expectStatements(inputs);
    const bound = bindEach(inputs, (input) => this.bind(input));
    const isWrite = mode !== "read" && !bound.every(isRead);
    this.assertUsable(isWrite ? "write" : "read");
    // `deferred` would ask for the lock after its first read, when another's commit can make that too late.
    const run = (all: readonly BoundStatement[]) =>
      this.#call(isWrite, () => {
        startAll(all);
        return this.#stock.batch(all.map(toStock), isWrite ? "write" : "read");
      });
    return areCallsObserved() ? tracedBatch(bound, { role: isWrite ? "writer" : "reader" }, run) : run(bound);
  }

  async migrate(inputs: InStatement[]): Promise<ResultSet[]> {
    expectStatements(inputs);
    const bound = bindEach(inputs, (input) => this.bind(input));
    this.assertUsable("write");
    const run = (all: readonly BoundStatement[]) =>
      this.#call(true, () => {
        startAll(all);
        return this.#stock.migrate(all.map(toStock));
      });
    return areCallsObserved() ? tracedBatch(bound, { role: "writer" }, run) : run(bound);
  }

  async executeMultiple(sql: string): Promise<void> {
    expectSql(sql);
    this.assertUsable("write");
    const run = (trace?: StatementTrace) =>
      this.#call(true, () => {
        trace?.start();
        return this.#stock.executeMultiple(sql);
      });
    return areCallsObserved() ? tracedStatement(sql, { role: "writer" }, run) : run();
  }

  async transaction(mode: TransactionMode = "write"): Promise<RemoteTransaction> {
    expectMode(mode);
    this.assertUsable(mode === "read" ? "read" : "write");
    if (!areCallsObserved()) return this.#begin(mode);
    return tracedBegin(mode === "read" ? "reader" : "writer", () => this.#begin(mode));
  }

  async #begin(mode: TransactionMode): Promise<RemoteTransaction> {
    if (mode !== "read") await this.#writers.take(this.#writerLimit);
    const endTurn = () => {
      if (mode !== "read") this.#writers.pass();
    };
    try {
      if (this.#isClosed) throw new LibsqlError("The client is closed", "CLIENT_CLOSED");
      const stock = await this.#stock.transaction(mode);
      const transaction: RemoteTransaction = new RemoteTransaction(stock, mode, {
        bind: (input) => this.bind(input),
        send: (isWrite, work) => this.#send({ isWrite, isRead: false }, work),
        begin: (attempt) => this.#whileBusy(attempt),
        open: () => this.#stock.transaction(mode),
        onEnd: () => {
          this.#transactions.delete(transaction);
          endTurn();
        },
      });
      this.#transactions.add(transaction);
      return transaction;
    } catch (error) {
      endTurn();
      throw error;
    }
  }

  async checkpoint(): Promise<never> {
    throw localOnly("checkpoint()");
  }

  async sync(): Promise<Replicated> {
    throw new LibsqlError(
      "A server has nothing to fetch: it is always up to date. sync() is for embedded replicas, `file:` with `syncUrl`",
      "SYNC_NOT_SUPPORTED",
    );
  }

  /** Resolves when the server answers; rejects with UNAVAILABLE when it does not in time. */
  async ping(): Promise<void> {
    await this.#call(false, () => this.#stock.execute("SELECT 1"));
  }

  /** Drops the connections; calls that run may fail. */
  async reconnect(): Promise<void> {
    await this.#stock.reconnect();
    this.#isClosed = false;
  }

  /** `closed` is true at once; running calls finish, open transactions are rolled back. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const transaction of [...this.#transactions]) transaction.close();
    await this.#calls.settled();
    if (!this.#stock.closed) this.#stock.close();
  }

  /** @internal Reads a statement and checks its arguments. */
  bind(input: StatementInput): BoundStatement {
    const bound = bindInput(input);
    if (bound.statement.kind === "empty") throw new LibsqlError("The SQL holds no statement", "SQL_NO_STATEMENT");
    assertWhole(bound, ["begin", "commit", "rollback"]);
    return bound;
  }

  /** @internal Throws unless a call may be made here and now. */
  assertUsable(access: Access): void {
    if (this.#isClosed) throw new LibsqlError("The client is closed", "CLIENT_CLOSED");
    this.guard?.(access);
  }

  /** One request outside of a transaction: waits for its turns, and from then on no longer than the time for a call. */
  #call<T>(isWrite: boolean, work: () => Promise<T>): Promise<T> {
    return this.#calls.track(this.#callInTurn(isWrite, work));
  }

  async #callInTurn<T>(isWrite: boolean, work: () => Promise<T>): Promise<T> {
    if (isWrite) await this.#writers.take(this.#writerLimit);
    try {
      return await this.#whileBusy(() => this.#callInSlot(isWrite, work));
    } finally {
      if (isWrite) this.#writers.pass();
    }
  }

  async #callInSlot<T>(isWrite: boolean, work: () => Promise<T>): Promise<T> {
    const { requestTimeoutMs } = this.#options;
    const deadline = performance.now() + requestTimeoutMs;
    const call = { isWrite: false, isRead: !isWrite, server: this.#server };
    await this.#slots.take({ timeoutMs: requestTimeoutMs, onTimeout: () => timedOut(requestTimeoutMs, call) });
    try {
      return await this.#send({ isWrite, isRead: !isWrite }, work, deadline - performance.now());
    } catch (error) {
      // The server has closed a kept-alive connection in the meantime: a read is sent again, on a new one.
      if (isWrite || !isDropped(error)) throw error;
      return await this.#send({ isWrite, isRead: !isWrite }, work, deadline - performance.now());
    } finally {
      this.#slots.pass();
    }
  }

  /** Asks again while others have the server's write lock: it has waited itself, and done nothing. */
  async #whileBusy<T>(attempt: () => Promise<T>): Promise<T> {
    const start = performance.now();
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        const isBusy = error instanceof LibsqlError && error.code === "SQLITE_BUSY";
        if (!isBusy || this.#isClosed || performance.now() - start >= this.#options.acquireTimeoutMs) throw error;
        await sleep(Math.random() * 50);
      }
    }
  }

  async #sendWrites(statements: readonly BoundStatement[]): Promise<ResultSet[]> {
    startAll(statements);
    const [first] = statements as [BoundStatement];
    // By itself, a statement with RETURNING is stored even where its rows are then too many for an answer.
    const isAlone = statements.length === 1 && !/\breturning\b/i.test(first.statement.sql);
    return isAlone ? [await this.#stock.execute(toStock(first))] : this.#stock.batch(statements.map(toStock), "write");
  }

  /** Sends one request, and waits for its answer no longer than `requestTimeoutMs`. */
  async #send<T>(
    kind: { readonly isWrite: boolean; readonly isRead: boolean },
    work: () => Promise<T>,
    timeoutMs = this.#options.requestTimeoutMs,
  ): Promise<T> {
    const { requestTimeoutMs, redact } = this.#options;
    const call = { ...kind, server: this.#server, redact };
    this.#requests++;
    let isLate = false;
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      if (timeoutMs > MAX_TIMER_MS) return;
      timer = setTimeout(() => {
        isLate = true;
        reject(timedOut(requestTimeoutMs, call));
      }, timeoutMs);
    });
    const answer = work();
    try {
      return await Promise.race([answer, late]);
    } catch (error) {
      const known = isTimeout(error) ? timedOut(requestTimeoutMs, call) : toRemoteError(error, call);
      if ((known as LibsqlError).code === "UNAVAILABLE") {
        this.#unavailable++;
        // A server that lets one wait for so long would let the next: those in line learn at once that nothing was sent.
        if (isLate || isTimeout(error)) {
          const unsent = { isWrite: false, server: this.#server };
          for (const line of [this.#writers, this.#group]) line.refuseAll(() => timedOut(requestTimeoutMs, unsent));
        }
      }
      throw known;
    } finally {
      clearTimeout(timer);
      // After a timeout, the answer is ignored.
      answer.catch(() => undefined);
    }
  }
}

/** Notes that they are sent now. */
function startAll(statements: readonly BoundStatement[]): void {
  for (const { trace } of statements) trace?.start();
}

/** Refuses statements that have no effect alone, because each call has a separate stream. */
function assertWhole({ statement }: BoundStatement, refused: readonly StatementKind[]): void {
  if (!refused.includes(statement.kind)) return;
  throw new LibsqlError(
    `${firstWord(statement)} by itself would reach another stream. Use transaction()`,
    "NOT_SUPPORTED",
  );
}

/** What the signal of `fetch` aborts with. */
function isTimeout(error: unknown): boolean {
  return error instanceof Error && (error.name === "TimeoutError" || error.name === "AbortError");
}

function acquireTimeout(timeoutMs: number): LibsqlError {
  return new LibsqlError(
    `Waited ${timeoutMs} ms (\`acquireTimeoutMs\`) for other writes and transactions of this client to end; nothing was sent. ${OUTSIDE_CALL_ADVICE}`,
    "ACQUIRE_TIMEOUT",
  );
}
