import { sql } from "drizzle-orm";
import { graphEdges, graphLabels, graphNodes, graphVersions } from "../schema/graph.js";
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
          union all select ${graphNodes.project} from ${graphNodes}
          union all select ${graphEdges.project} from ${graphEdges}
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
      {
        area: "graph",
        statement: toStatement(sql`select ${graphNodes.id} from ${graphNodes} where ${graphNodes.project} = ${project}
          union all select ${graphEdges.id} from ${graphEdges} where ${graphEdges.project} = ${project}`),
      },
    ],
    statements: [
      toStatement(sql`delete from ${memoryEmbeddings} where ${memoryEmbeddings.project} = ${project}`),
      toStatement(sql`delete from ${memories} where ${memories.project} = ${project}`),
      toStatement(sql`delete from ${sessions} where ${sessions.project} = ${project}`),
      toStatement(sql`delete from ${graphEdges} where ${graphEdges.project} = ${project}`),
      toStatement(sql`delete from ${graphLabels} where ${graphLabels.project} = ${project}`),
      toStatement(sql`delete from ${graphNodes} where ${graphNodes.project} = ${project}`),
      // Last, since the triggers of the others write it.
      toStatement(sql`delete from ${graphVersions} where ${graphVersions.project} = ${project}`),
    ],
  };
}
