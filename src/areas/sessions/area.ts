import { sql } from "drizzle-orm";
import { sessions } from "../../schema/sessions.js";
import type { Area } from "../area.js";
import { withoutJson } from "../json.js";
import { inOrderOfRows, notBefore, pagesByRowId } from "../rows.js";
import { prepareStatement } from "../statements.js";
import type { SessionLine } from "./line.js";
import { columns, expectSummary, insertSession, toDraft, toSession } from "./record.js";
import { SessionRepository } from "./repository.js";

const s = sessions;
const deleteRow = prepareStatement(
  () => sql`delete from ${s} where ${s.project} = ${sql.placeholder("project")} and ${s.id} = ${sql.placeholder("id")}`,
);

/** Sessions. They carry no checksum, and nothing is derived from them. */
export const sessionArea: Area<"sessions", SessionRepository> = {
  name: "sessions",
  tables: [s],
  recordTables: [s],
  searchTargets: [],
  counted: sql`select ${s.project}, 1 as records from ${s}`,
  // Small, and the frame of memories that stay: only asked for by name.
  isPrunedByDefault: false,
  table: sql`${s}`,

  open: (context) => new SessionRepository(context),

  ids: (project) => sql`select ${s.id} from ${s} where ${s.project} = ${project}`,

  async *pages(reader, project) {
    const isOf = inOrderOfRows(s.project, project);
    for await (const rows of pagesByRowId(reader, sql`select ${columns} from ${s}`, s.rowId, isOf)) {
      yield rows.map((row) => {
        const { project: owner, id, startedAt, endedAt, summary, metadata } = toSession(row);
        const times = { startedAt: startedAt.toISOString(), endedAt: endedAt?.toISOString() ?? null };
        return { project: owner, record: { id, ...times, summary, metadata } };
      });
    }
  },

  loadLine: () => import("./line.js"),

  parse(context, { id, startedAt, endedAt, summary: given, metadata }: SessionLine) {
    const draft = toDraft(context, { id, startedAt: new Date(startedAt), metadata });
    const summary = context.repair(given);
    if (summary !== null) expectSummary(summary);
    return {
      id,
      key: id,
      statements: [insertSession({ ...draft, endedAt: notBefore(startedAt, endedAt), summary })],
    };
  },

  existing: { "": sql`${s}` },

  async remove({ project, executor }, id) {
    await executor.execute(deleteRow({ project, id }));
  },

  /** One that has not ended is still in use, however long ago it started. */
  prunable(project) {
    return sql`select ${s.project} as project, ${s.rowId} as row_id, ${s.id} as key, ${s.id} as id, 0 as is_deleted, ${s.endedAt} as updated_at,
      coalesce(octet_length(${s.summary}), 0) as bytes from ${s}
      where ${s.endedAt} is not null${project === undefined ? sql`` : sql` and ${s.project} = ${project}`}`;
  },

  damaged: (reader) => withoutJson(reader, s, [s.metadata]),

  async *rederive() {},
};
