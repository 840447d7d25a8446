import type { Client, InArgs, InStatement, ResultSet, Transaction, TransactionMode } from "@libsql/client";
import { LibsqlError } from "@libsql/client/sqlite3";
import { atCaller } from "../caller-stack.js";
import { areCallsObserved, type Role } from "../diagnostics.js";
import { type ClientTransaction, type Savepoint, Savepoints } from "../savepoints.js";
import type { StatementInput } from "../sql/bound-statement.js";
import { parseStatement } from "../sql/parse.js";
import type { CallTraits } from "../statement-trace.js";
import { localOnly, NO_POOL_STATS, type StorageClient } from "../storage-client.js";
import { tracedBatch, tracedBegin, tracedStatement } from "../traced-calls.js";

/** Adds the members of a StorageClient to a client of @libsql/client, which otherwise stays as it is. */
export function extendStockClient(stock: Client): StorageClient {
  const begin = stock.transaction.bind(stock) as (mode?: TransactionMode) => Promise<Transaction>;
  const close = stock.close.bind(stock);
  const migrate = stock.migrate.bind(stock);
  const open = async (mode: TransactionMode) => extendTransaction(await begin(mode), mode);
  return Object.defineProperties(stock, {
    ...tracedMembers(stock),
    migrate: callOf(stock, async (inputs: InStatement[]) =>
      areCallsObserved()
        ? traceBatch(inputs, { role: "writer", isImmediate: true }, () => migrate(inputs))
        : migrate(inputs),
    ),
    pool: {
      get: () => {
        throw localOnly("pool");
      },
    },
    stats: { value: () => NO_POOL_STATS },
    checkpoint: { value: () => Promise.reject(localOnly("checkpoint()")) },
    transaction: callOf(stock, async (mode: TransactionMode = "write") =>
      areCallsObserved() ? tracedBegin(mode === "read" ? "reader" : "writer", () => open(mode)) : open(mode),
    ),
    close: { value: async () => close() },
  }) as StorageClient;
}

/** `depth` counts the savepoints that are made by `savepoint()`. */
function extendTransaction(stock: Transaction, mode: TransactionMode): ClientTransaction {
  const savepoints = new Savepoints();
  let isCommitted = false;
  const commit = stock.commit.bind(stock);
  const rollback = stock.rollback.bind(stock);
  const close = stock.close.bind(stock);
  const traced = tracedMembers(stock, {
    role: mode === "read" ? "reader" : "writer",
    isWithin: true,
    isImmediate: true,
  });
  const run = async (sql: string) => {
    await traced.execute.value(sql);
    savepoints.follow(parseStatement(sql));
  };
  const end = (error?: unknown) => {
    const { onEnd } = stock as { onEnd?: (error?: unknown) => void };
    Object.assign(stock, { onEnd: undefined });
    onEnd?.(error);
  };
  return Object.defineProperties(stock, {
    ...traced,
    mode: { value: mode },
    state: { get: () => (!stock.closed ? "active" : isCommitted ? "committed" : "rolledBack") },
    depth: { get: () => (stock.closed ? 0 : savepoints.depth) },
    savepoint: {
      value: async () => {
        const mark = savepoints.next();
        await run(`SAVEPOINT ${mark.name}`);
        return mark;
      },
    },
    rollbackTo: {
      value: async (mark: Savepoint) => {
        savepoints.assertOpen(mark);
        await run(`ROLLBACK TO ${mark.name}`);
      },
    },
    release: {
      value: async (mark: Savepoint) => {
        savepoints.assertOpen(mark);
        await run(`RELEASE ${mark.name}`);
      },
    },
    commit: callOf(stock, async () => {
      try {
        await commit();
        isCommitted = true;
        end();
      } catch (error) {
        end(error);
        throw error;
      }
    }),
    rollback: { value: () => rollback().finally(end) },
    close: {
      value: () => {
        close();
        end();
      },
    },
  }) as ClientTransaction;
}

/**
 * The calls of a client or a transaction of @libsql/client that run statements; they send messages to subscribers. All of
 * their time counts as running, because this client does not say how long it waits.
 */
function tracedMembers(stock: Client | Transaction, fixed?: CallTraits) {
  const execute = stock.execute.bind(stock) as (statement: InStatement) => Promise<ResultSet>;
  // A transaction of @libsql/client runs a statement as a batch of one, which is no other call.
  let isInExecute = false;
  const executeOnce = (statement: InStatement) => {
    isInExecute = true;
    try {
      return execute(statement);
    } finally {
      isInExecute = false;
    }
  };
  const batch = stock.batch.bind(stock) as (inputs: StatementInput[], mode?: TransactionMode) => Promise<ResultSet[]>;
  const script = stock.executeMultiple.bind(stock);
  const traitsOf = (text: string): CallTraits => fixed ?? { role: roleOf(text), isImmediate: true };
  return {
    execute: callOf(stock, async (input: InStatement, args?: InArgs) => {
      const statement = typeof input === "string" && args !== undefined ? { sql: input, args } : input;
      if (!areCallsObserved()) return execute(statement);
      const text = textOf(input);
      return tracedStatement(text, traitsOf(text), () => executeOnce(statement));
    }),
    batch: callOf(stock, async (inputs: StatementInput[], mode?: TransactionMode) => {
      const run = () => (fixed === undefined ? batch(inputs, mode) : batch(inputs));
      if (!areCallsObserved() || isInExecute || !Array.isArray(inputs)) return run();
      const isRead = mode === "read" || inputs.every((input) => roleOf(textOf(input)) === "reader");
      return traceBatch(inputs, fixed ?? { role: isRead ? "reader" : "writer", isImmediate: true }, run);
    }),
    executeMultiple: callOf(stock, async (sql: string) =>
      areCallsObserved()
        ? tracedStatement(sql, fixed ?? { role: "writer", isImmediate: true }, () => script(sql))
        : script(sql),
    ),
  };
}

/** The property for a call that a closed client refuses, and whose rejections have a stack that names the caller. */
function callOf<Args extends unknown[], Result>(stock: Client | Transaction, call: (...args: Args) => Promise<Result>) {
  const value = async (...args: Args): Promise<Result> => {
    try {
      // The stock client gives its own calls UNKNOWN, and those of its transactions their code.
      if ("protocol" in stock && stock.closed) throw new LibsqlError("The client is closed", "CLIENT_CLOSED");
      return await call(...args);
    } catch (error) {
      throw atCaller(error, value);
    }
  };
  return { value };
}

function traceBatch(
  inputs: readonly StatementInput[],
  traits: CallTraits,
  run: () => Promise<ResultSet[]>,
): Promise<ResultSet[]> {
  const statements = inputs.map((input) => ({ statement: { sql: textOf(input) } }));
  return tracedBatch(statements, traits, run);
}

function textOf(input: StatementInput): string {
  return String(typeof input === "string" ? input : Array.isArray(input) ? input[0] : input?.sql);
}

function roleOf(sql: string): Role {
  return /^\s*(select|values|explain)\b/i.test(sql) ? "reader" : "writer";
}
