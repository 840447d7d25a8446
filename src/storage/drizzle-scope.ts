import type { Client, InStatement } from "@libsql/client";
import { TransactionRollbackError } from "drizzle-orm";
import type { LibSQLDatabase } from "drizzle-orm/libsql";
import { drizzle } from "drizzle-orm/libsql/sqlite3";
import type { TransactionScope } from "./transaction-scope.js";

/** The caller's own Drizzle tables and relations, by their names. */
export type StorageSchema = Record<string, unknown>;

/** Drizzle on a storage. `query` has the tables of the schema that was passed to `openStorage`. */
export type StorageDatabase<TSchema extends StorageSchema = StorageSchema> = LibSQLDatabase<TSchema>;

/** Runs `work` in a scope that lasts as long as its callback. */
export type BeginScope = <T>(work: (scope: TransactionScope) => Promise<T>) => Promise<T>;

/** Drizzle on a client, whose transactions are begun by `begin`. */
export function drizzleOnClient(client: Client, schema: Record<string, unknown>, begin: BeginScope): StorageDatabase {
  return withTransactions(drizzle(client, { schema }), schema, begin);
}

/** Drizzle inside a transaction scope; its own transactions are savepoints, which take turns as all of them do. */
export function drizzleInScope(scope: TransactionScope, schema: Record<string, unknown>): StorageDatabase {
  const client = {
    execute: async (statement: InStatement) => (await scope.send([statement]))[0],
    batch: (statements: InStatement[]) => scope.send(statements),
    migrate: (statements: InStatement[]) => scope.send(statements),
  };
  return withTransactions(drizzle(client as unknown as Client, { schema }), schema, (work) => scope.savepoint(work));
}

function withTransactions(db: object, schema: Record<string, unknown>, begin: BeginScope): StorageDatabase {
  const transaction = <T>(work: (tx: unknown) => Promise<T>) =>
    begin(async (inner) => {
      const rollback = () => {
        throw new TransactionRollbackError();
      };
      return work(Object.assign(drizzleInScope(inner, schema), { rollback }));
    });
  return Object.assign(db, { transaction }) as unknown as StorageDatabase;
}
