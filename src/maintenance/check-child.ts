// The process that checks a file. If the file's bytes end it, the process that asked lives on.

import type { Reader } from "../areas/area.js";
import { Connection } from "../client/local/connection.js";
import { explainReadOnly, type ReadOnly, readOnlyOpening } from "../client/local/read-only.js";
import { retryWhileBusy } from "../client/local/write-lock.js";
import { bindInput } from "../client/sql/bound-statement.js";
import { environmentKey } from "../shared/environment.js";
import { answerParent } from "./answer-parent.js";
import type { Finding } from "./findings.js";
import { type CheckedSet, inspect, type Phase, toFinding } from "./inspect.js";

/** The parent's order; the key of an encrypted file is in the environment. */
export interface CheckOrder {
  readonly path: string;
  readonly readOnly: ReadOnly;
  readonly deep: boolean;
  readonly migrations: readonly CheckedSet[];
  readonly phases: readonly Phase[];
}

/** The answers. */
export type CheckMessage =
  | { readonly phase: Phase; readonly done: number; readonly total: number }
  | { readonly finding: Finding }
  | { readonly hasEnded: true };

const BUSY_TIMEOUT_MS = 5000;

export const answerCheck = (given: CheckOrder) =>
  answerParent<CheckOrder, CheckMessage>(given, async (order, say) => {
    try {
      const connection = await open(order).catch((error) => {
        throw explainReadOnly(error, order.path, order.readOnly);
      });
      const found = inspect({
        ...order,
        snapshot: (work) => inSnapshot(connection, work),
        onPhase: (phase, done, total) => say({ phase, done, total }),
      });
      for await (const finding of found) say({ finding });
    } catch (error) {
      say({ finding: toFinding(error, "whether the file can be read") });
    }
    say({ hasEnded: true });
  });

async function open({ path, readOnly }: CheckOrder): Promise<Connection> {
  const encryptionKey = environmentKey();
  const options = { statementCacheSize: 50, ...(encryptionKey === undefined ? {} : { encryptionKey }) };
  const { name, setup } = readOnlyOpening(path, readOnly);
  const connection = Connection.open(name, options, [...setup, "PRAGMA wal_autocheckpoint = 0"]);
  await retryWhileBusy(
    () => connection.query("SELECT count(*) FROM sqlite_schema"),
    BUSY_TIMEOUT_MS,
    () => undefined,
  );
  return connection;
}

async function inSnapshot<T>(connection: Connection, work: (reader: Reader) => Promise<T>): Promise<T> {
  const reader: Reader = {
    async execute(statement) {
      const bound = bindInput(statement);
      return connection.execute(bound.statement, bound.args, "number");
    },
  };
  connection.exec("BEGIN");
  try {
    return await work(reader);
  } finally {
    connection.rollback();
  }
}
