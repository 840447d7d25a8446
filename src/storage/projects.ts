import type { ResultSet, Row } from "@libsql/client";
import { sql } from "drizzle-orm";
import type { Area } from "../areas/area.js";
import type { Executor } from "../areas/executor.js";
import { readAllOf } from "../areas/read-all.js";
import { AREAS, areasIn, type ChangeArea } from "../areas/registry.js";
import { toStatement } from "../areas/statements.js";
import { isAnswerTooLarge } from "../client/remote/remote-error.js";
import { asStorageErrors } from "../client/storage-error.js";
import type { MaintenanceContext } from "../maintenance/context.js";
import { withRoom } from "../maintenance/room.js";
import { StorageError } from "../shared/errors.js";

/** A project and the number of its records. */
export interface ProjectCount {
  readonly project: string;
  /**
   * Records of all areas, without deleted ones. Each message and each edge counts, unlike in an export, where a
   * conversation is one line with its messages.
   */
  readonly count: number;
}

export async function countProjects(executor: Executor): Promise<ProjectCount[]> {
  const count = async (areas: readonly Area<ChangeArea>[]): Promise<Pick<ResultSet, "rows">> => {
    if (areas.length === 0) return { rows: [] };
    const counted = sql.join(
      areas.map((area) => area.counted),
      sql` union all `,
    );
    return executor.execute(
      toStatement(sql`select project, sum(records) as count from (${counted})
        group by project having count > 0 order by count desc, project`),
    );
  };
  const { rows } = await count(AREAS).catch(async (error: unknown) => {
    if (!(error instanceof StorageError) || error.code !== "MIGRATION_PENDING") throw error;
    return count(await areasIn(executor, AREAS));
  });
  return rows.map((row) => ({ project: row.project as string, count: Number(row.count) }));
}

/** Permanently removes all records of a project. Resolves to the number of records removed. */
export async function purgeProject(
  { client, executor, announce, erase }: MaintenanceContext,
  project: string,
): Promise<number> {
  const selects = AREAS.map((area) => toStatement(area.ids(project)));
  const deletes = AREAS.flatMap(({ tables, purgeOrder = tables }) =>
    purgeOrder.map((table) => toStatement(sql`delete from ${table} where ${table.project} = ${project}`)),
  );
  return asStorageErrors(async () => {
    const answers = await withRoom(client, () => executor.batch([...selects, ...deletes]))
      .then((results) => results.map(({ rows }) => rows as readonly Row[]))
      .catch((error: unknown) => {
        if (!isAnswerTooLarge(error)) throw error;
        // Nothing was removed: the ids are too many for an answer.
        return executor.atomically(async (transaction) => {
          const ids = await readAllOf(transaction, selects);
          await transaction.batch(deletes);
          return ids;
        });
      });
    const purged = AREAS.map(({ name }, at) => ({ area: name, ids: answers[at]!.map((row) => row[0] as string) }));
    for (const { area, ids } of purged) {
      if (ids.length > 0) announce({ project, area, action: "purge", ids });
    }
    await erase();
    return purged.reduce((count, { ids }) => count + ids.length, 0);
  });
}
