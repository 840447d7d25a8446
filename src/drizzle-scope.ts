import type { Client, InStatement } from "@libsql/client";
import { TransactionRollbackError } from "drizzle-orm";
import type { LibSQLDatabase } from "drizzle-orm/libsql";
import { drizzle } from "drizzle-orm/libsql/sqlite3";
import type { TransactionScope } from "./transaction-scope.js";

/** Drizzle on a storage. */
export type StorageDatabase = LibSQLDatabase<Record<string, unknown>>;

/** Drizzle inside a transaction scope; its own transactions are savepoints, which take turns as all of them do. */
export function drizzleInScope(scope: TransactionScope, schema: Record<string, unknown>): StorageDatabase {
  const client = {
    execute: (statement: InStatement) => scope.execute(statement),
    batch: (statements: InStatement[]) => scope.batch(statements),
    migrate: (statements: InStatement[]) => scope.batch(statements),
  };
  const db = drizzle(client as unknown as Client, { schema });
  const transaction = <T>(work: (tx: unknown) => Promise<T>) =>
    scope.savepoint((inner) => {
      const rollback = () => {
        throw new TransactionRollbackError();
      };
      return work(Object.assign(drizzleInScope(inner, schema), { rollback }));
    });
  return Object.assign(db, { transaction }) as unknown as StorageDatabase;
}
