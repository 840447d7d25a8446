import type { Client, InArgs, InStatement, Transaction, TransactionMode } from "@libsql/client";
import { type ClientTransaction, type Savepoint, Savepoints } from "../savepoints.js";
import { parseStatement } from "../sql/parse.js";
import { localOnly, NO_POOL_STATS, type StorageClient } from "../storage-client.js";

/** Adds the members of a StorageClient to a client of @libsql/client, which otherwise stays as it is. */
export function extendStockClient(stock: Client): StorageClient {
  const begin = stock.transaction.bind(stock) as (mode?: TransactionMode) => Promise<Transaction>;
  const close = stock.close.bind(stock);
  return Object.defineProperties(stock, {
    pool: {
      get: () => {
        throw localOnly("pool");
      },
    },
    stats: { value: () => NO_POOL_STATS },
    checkpoint: { value: () => Promise.reject(localOnly("checkpoint()")) },
    transaction: {
      value: async (mode: TransactionMode = "write") => extendTransaction(await begin(mode), mode),
    },
    close: { value: async () => close() },
  }) as StorageClient;
}

/** `depth` counts the savepoints that are made by `savepoint()`. */
function extendTransaction(stock: Transaction, mode: TransactionMode): ClientTransaction {
  const savepoints = new Savepoints();
  let isCommitted = false;
  const commit = stock.commit.bind(stock);
  const execute = stock.execute.bind(stock);
  const run = async (sql: string) => {
    await execute(sql);
    savepoints.follow(parseStatement(sql));
  };
  return Object.defineProperties(stock, {
    mode: { value: mode },
    state: { get: () => (!stock.closed ? "active" : isCommitted ? "committed" : "rolledBack") },
    depth: { get: () => (stock.closed ? 0 : savepoints.depth) },
    execute: {
      value: async (statement: InStatement, args?: InArgs) =>
        execute(typeof statement === "string" && args !== undefined ? { sql: statement, args } : statement),
    },
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
    commit: {
      value: async () => {
        await commit();
        isCommitted = true;
      },
    },
  }) as ClientTransaction;
}
