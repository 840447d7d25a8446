import { type SQL, sql } from "drizzle-orm";
import type { ChangeArea } from "../areas/context.js";
import type { Executor } from "../areas/executor.js";
import { type Statement, toStatement } from "../areas/statements.js";
import { clearStatements as clearStoryStatements } from "../areas/stories/libsql/extras.js";
import { tablesIn } from "../areas/tables.js";
import {
  conversationSummaries,
  conversations,
  conversationTags,
  messageRefs,
  messages,
} from "../schema/conversations.js";
import { graphEdges, graphLabels, graphNodes, graphVersions } from "../schema/graph.js";
import { memories, memoryEmbeddings } from "../schema/memories.js";
import { sessions } from "../schema/sessions.js";
import { stories } from "../schema/stories.js";
import { StorageError } from "../shared/errors.js";

/** The project that is used where none is named. */
export const DEFAULT_PROJECT = "default";

export interface ProjectCount {
  readonly project: string;
  /** Records of all kinds, deleted ones aside. */
  readonly count: number;
}

/** A conversation, unless it is deleted, and those of its own messages that can be seen: by its index, not by counting. */
const visibleRecords = sql`(${conversations.deletedAt} is null) + max(0, min(${conversations.visibleSeq}, coalesce((
  select max(${messages.seq}) from ${messages} where ${messages.conversationRowId} = ${conversations.rowId}
), 0)) - ${conversations.prefixSeq})`;

/** What each table adds to the count of its project. */
const RECORDS: Readonly<Record<string, SQL>> = {
  memories: sql`select ${memories.project}, 1 as records from ${memories} where ${memories.deletedAt} is null`,
  sessions: sql`select ${sessions.project}, 1 as records from ${sessions}`,
  conversations: sql`select ${conversations.project}, ${visibleRecords} as records from ${conversations}`,
  stories: sql`select ${stories.project}, 1 as records from ${stories} where ${stories.deletedAt} is null`,
  graph_nodes: sql`select ${graphNodes.project}, 1 as records from ${graphNodes}`,
  graph_edges: sql`select ${graphEdges.project}, 1 as records from ${graphEdges}`,
};

export async function countProjects(executor: Executor): Promise<ProjectCount[]> {
  const count = (tables: readonly string[]) =>
    executor.execute(
      toStatement(sql`select project, sum(records) as count from (
          ${sql.join(
            tables.map((table) => RECORDS[table]!),
            sql` union all `,
          )}
        ) group by project having count > 0 order by count desc, project`),
    );
  const { rows } = await count(Object.keys(RECORDS)).catch(async (error: unknown) => {
    if (!(error instanceof StorageError) || error.code !== "MIGRATION_PENDING") throw error;
    const known = await tablesIn(executor);
    return count(Object.keys(RECORDS).filter((table) => known.has(table)));
  });
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
        area: "conversations",
        statement: toStatement(sql`select id from ${conversations} where project = ${project} and purged_at is null
          union all select id from ${messages} where project = ${project}`),
      },
      {
        area: "graph",
        statement: toStatement(sql`select ${graphNodes.id} from ${graphNodes} where ${graphNodes.project} = ${project}
          union all select ${graphEdges.id} from ${graphEdges} where ${graphEdges.project} = ${project}`),
      },
      {
        area: "stories",
        statement: toStatement(sql`select ${stories.id} from ${stories} where ${stories.project} = ${project}`),
      },
    ],
    statements: [
      toStatement(sql`delete from ${memoryEmbeddings} where ${memoryEmbeddings.project} = ${project}`),
      toStatement(sql`delete from ${memories} where ${memories.project} = ${project}`),
      toStatement(sql`delete from ${sessions} where ${sessions.project} = ${project}`),
      ...[messageRefs, conversationSummaries, messages, conversations, conversationTags].map((table) =>
        toStatement(sql`delete from ${table} where ${table.project} = ${project}`),
      ),
      toStatement(sql`delete from ${graphEdges} where ${graphEdges.project} = ${project}`),
      toStatement(sql`delete from ${graphLabels} where ${graphLabels.project} = ${project}`),
      toStatement(sql`delete from ${graphNodes} where ${graphNodes.project} = ${project}`),
      // Last, since the triggers of the others write it.
      toStatement(sql`delete from ${graphVersions} where ${graphVersions.project} = ${project}`),
      ...clearStoryStatements(project),
    ],
  };
}
