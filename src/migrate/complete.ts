import { Cascades } from "./cascades.js";
import type { MemorySchema } from "./memory-schema.js";
import type { Addition, Rebuilds } from "./rebuilds.js";
import { rebuildsOf } from "./run-script.js";
import type { MigrationStatement, Script } from "./script.js";
import type { IndexJudge } from "./snapshots.js";

/** One statement of a completed script: its own, or an added one. */
interface CompletedStatement {
  readonly sql: string;
  readonly statement?: MigrationStatement;
  readonly addition?: Addition;
}

interface CompleteOptions {
  readonly judge: IndexJudge;
  /** Called with the rebuilds of the script when all of its statements have run. */
  readonly onEnd?: (rebuilds: Rebuilds) => void;
  /** Called with a statement of the script that fails in memory. @default ignores it */
  readonly onFailure?: (statement: MigrationStatement, error: unknown) => void;
  /** Whether statements that do not change the schema are compiled. @default false */
  readonly compiles?: boolean;
}

/** Statements that only read or write rows. */
const READS_OR_WRITES = /^(SELECT|WITH|VALUES|INSERT|REPLACE|UPDATE|DELETE)\b/i;
/** Statements that change the schema, and the setting that changes what a rename rewrites. */
const CHANGES_SCHEMA = /^(CREATE|DROP|ALTER|PRAGMA\s+legacy_alter_table)\b/i;

/**
 * Yields the statements of a script, and statements that keep the objects it would lose, for a database that cannot be
 * queried while they run. Statements that change the schema run on its copy in memory, one by one.
 */
export function* completeOn(
  memory: MemorySchema,
  script: Script,
  { judge, onEnd, onFailure, compiles = false }: CompleteOptions,
): Generator<CompletedStatement> {
  const query = (sql: string) => memory.query(sql);
  const rebuilds = rebuildsOf(script, judge, query);
  const cascades = new Cascades(query);
  const { statements } = script;
  for (const [index, statement] of statements.entries()) {
    yield* add(cascades.before(statement));
    yield* add(rebuilds.before(statements, index));
    attempt(statement.sql, (error) => onFailure?.(statement, error));
    yield { sql: statement.sql, statement };
    yield* add(rebuilds.after());
  }
  yield* add(cascades.end());
  yield* add(rebuilds.end());
  onEnd?.(rebuilds);

  function* add(additions: readonly Addition[]): Generator<CompletedStatement> {
    for (const addition of additions) {
      attempt(addition.sql, () => undefined);
      yield { sql: addition.sql, addition };
    }
  }

  function attempt(sql: string, onError: (error: unknown) => void): void {
    const isRead = compiles && READS_OR_WRITES.test(sql);
    if (!isRead && !CHANGES_SCHEMA.test(sql)) return;
    try {
      memory.exec(isRead ? `EXPLAIN ${sql}` : sql);
    } catch (error) {
      onError(error);
    }
  }
}
