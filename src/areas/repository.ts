import type { ResultSet, Row } from "@libsql/client";
import { StorageError } from "../shared/errors.js";
import { expectArray } from "../shared/expectation.js";
import { expectId } from "./arguments.js";
import { checkEach } from "./batch.js";
import type { ChangeAction, RepositoryContext } from "./context.js";
import type { Executor } from "./executor.js";
import type { Statement } from "./statements.js";

// Shared by the repositories of all areas. Functions, not a base class, because other files of an area use them too.

/** Runs all statements or none. A single one can share its commit with others that wait. */
export async function runAll(executor: Executor, statements: readonly Statement[]): Promise<readonly ResultSet[]> {
  if (statements.length === 0) return [];
  return statements.length === 1 ? [await executor.execute(statements[0]!)] : executor.batch(statements);
}

/** Announces that records of the context's project have changed, if there are any. */
export function announce(context: RepositoryContext, area: string, action: ChangeAction, ids: readonly string[]): void {
  if (ids.length > 0) context.announce({ project: context.project, area, action, ids });
}

/** The records that exist among `ids`, in the order of `ids`. Rejects with TypeError or RangeError on wrong ids. */
export async function readMany<T extends { readonly id: string }>(
  { project, executor }: RepositoryContext,
  ids: readonly string[],
  select: (values: { project: string; ids: string }) => Statement,
  toRecord: (row: Row) => T,
  check: (id: unknown) => void = expectId,
): Promise<T[]> {
  expectArray("ids", ids, "ids");
  checkEach(ids, (id) => check(id));
  const { rows } = await executor.execute(select({ project, ids: JSON.stringify(ids) }));
  const byId = new Map(rows.map((row) => toRecord(row)).map((record) => [record.id, record]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}

/** Records that `delete` hides. */
const MAY_BE_DELETED = ["memory", "conversation", "message"];

/** The error for an id that a project lacks; `kind` names the record: "memory", "session". */
export function notFound({ project }: RepositoryContext, kind: string, id: string): StorageError {
  const what = `There is no ${kind} ${JSON.stringify(id)} in project ${JSON.stringify(project)}`;
  const deleted = MAY_BE_DELETED.includes(kind) ? ", or it is deleted" : "";
  return new StorageError("NOT_FOUND", `${what}${deleted}. Check the id and the project`);
}
