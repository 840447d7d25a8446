import { DEFAULT_PROJECT, expectProject } from "../areas/arguments.js";
import type { Repositories } from "../areas/registry.js";
import { expectFunction } from "../shared/expectation.js";
import type { StorageDatabase, StorageSchema } from "./drizzle-scope.js";
import type { TransactionScope } from "./transaction-scope.js";

/** The repositories of one project inside a transaction. */
export interface ProjectTransaction extends Repositories {
  /** Runs `work` in a savepoint. If it throws, its writes are undone, and the transaction continues. */
  savepoint<T>(work: (tx: ProjectTransaction) => Promise<T>): Promise<T>;
}

/** The storage inside a transaction. Using it after the end of the callback throws `TRANSACTION_CLOSED`. */
export interface StorageTransaction<TSchema extends StorageSchema = StorageSchema> extends Repositories {
  /** The repositories of another project, in the same transaction. */
  project(name: string): Repositories;
  /** Drizzle inside the transaction, with the schema of the storage. */
  readonly db: StorageDatabase<TSchema>;
  /**
   * Runs `work` inside a savepoint. If it throws, its writes are undone, and the outer transaction continues.
   *
   * @example
   * const saved = await tx.savepoint((inner) => inner.memories.insert(draft)).catch(() => undefined);
   */
  savepoint<T>(work: (tx: StorageTransaction<TSchema>) => Promise<T>): Promise<T>;
}

/** The parts of a handle, each bound to the transaction of a scope. */
export interface HandleParts {
  repositories(project: string, scope: TransactionScope): Repositories;
  db(scope: TransactionScope): StorageDatabase;
}

/** The `tx` of a callback of `Storage.transaction`. */
export function storageTransaction(parts: HandleParts, scope: TransactionScope): StorageTransaction {
  const projects = new Map<string, Repositories>();
  const project = (name: string): Repositories => {
    expectProject(name);
    let known = projects.get(name);
    if (known === undefined) {
      known = parts.repositories(name, scope);
      projects.set(name, known);
    }
    return known;
  };
  let db: StorageDatabase | undefined;
  return {
    ...project(DEFAULT_PROJECT),
    project,
    get db() {
      db ??= parts.db(scope);
      return db;
    },
    savepoint: async (work) => {
      expectFunction("work", work);
      return scope.savepoint((inner) => work(storageTransaction(parts, inner)));
    },
  };
}

/** The `tx` of a callback of `Project.transaction`. */
export function projectTransaction(parts: HandleParts, scope: TransactionScope, name: string): ProjectTransaction {
  return {
    ...parts.repositories(name, scope),
    savepoint: async (work) => {
      expectFunction("work", work);
      return scope.savepoint((inner) => work(projectTransaction(parts, inner, name)));
    },
  };
}
