import { sql } from "drizzle-orm";
import { memories, memoryEmbeddings } from "../schema/memories.js";
import { sessions } from "../schema/sessions.js";
import { asStorageErrors, type ChangeArea, type Executor } from "./executor.js";
import { type Statement, toStatement } from "./statements.js";

export interface ProjectCount {
  readonly project: string;
  /** Records of all kinds, deleted ones aside. */
  readonly count: number;
}

export async function countProjects(executor: Executor): Promise<ProjectCount[]> {
  const { rows } = await asStorageErrors(() =>
    executor.execute(
      toStatement(sql`select project, count(*) from (
          select ${memories.project} from ${memories} where ${memories.deletedAt} is null
          union all select ${sessions.project} from ${sessions}
        ) group by project order by count(*) desc, project`),
    ),
  );
  return rows.map((row) => ({ project: row[0] as string, count: Number(row[1]) }));
}

/** What finds the ids of all records of a project, and what removes them. */
export function purgeStatements(project: string): {
  selectIds: { area: ChangeArea; statement: Statement }[];
  statements: Statement[];
} {
  return {
    selectIds: [
      {
        area: "memories",
        statement: toStatement(sql`select ${memories.id} from ${memories} where ${memories.project} = ${project}`),
      },
      {
        area: "sessions",
        statement: toStatement(sql`select ${sessions.id} from ${sessions} where ${sessions.project} = ${project}`),
      },
    ],
    statements: [
      toStatement(sql`delete from ${memoryEmbeddings} where ${memoryEmbeddings.project} = ${project}`),
      toStatement(sql`delete from ${memories} where ${memories.project} = ${project}`),
      toStatement(sql`delete from ${sessions} where ${sessions.project} = ${project}`),
    ],
  };
}
