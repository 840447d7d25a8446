import type { Client, InStatement, Transaction } from "@libsql/client";
import type { TransactionScope } from "./transaction-scope.js";

let savepointCount = 0;

/**
 * A transaction scope in the shape that Drizzle wants: its own transactions become savepoints, one after the other
 * where several are started together.
 */
export function scopeAsClient(scope: TransactionScope): Client {
  let lastEnded: Promise<void> = Promise.resolve();
  const transaction = async (): Promise<Transaction> => {
    const before = lastEnded;
    let end!: () => void;
    lastEnded = new Promise((resolve) => {
      end = resolve;
    });
    await before;
    return openSavepoint(scope, end);
  };
  const client = {
    execute: (statement: InStatement) => scope.execute(statement),
    batch: (statements: InStatement[]) => scope.batch(statements),
    migrate: (statements: InStatement[]) => scope.batch(statements),
    transaction,
  };
  return client as unknown as Client;
}

async function openSavepoint(scope: TransactionScope, onEnd: () => void): Promise<Transaction> {
  const name = `holdfast_drizzle_${++savepointCount}`;
  let isOpen = true;
  const finish = async (...statements: string[]) => {
    if (!isOpen) return;
    isOpen = false;
    try {
      for (const statement of statements) await scope.execute(statement);
    } finally {
      onEnd();
    }
  };
  try {
    await scope.execute(`SAVEPOINT ${name}`);
  } catch (error) {
    onEnd();
    throw error;
  }
  const rollback = () => finish(`ROLLBACK TO ${name}`, `RELEASE ${name}`);
  const savepoint = {
    execute: (statement: InStatement) => scope.execute(statement),
    batch: (statements: InStatement[]) => scope.batch(statements),
    commit: () => finish(`RELEASE ${name}`),
    rollback,
    close: () => void rollback(),
    get closed() {
      return !isOpen;
    },
  };
  return savepoint as unknown as Transaction;
}
