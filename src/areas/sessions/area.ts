import { sql } from "drizzle-orm";
import { sessions } from "../../schema/sessions.js";
import { expectText } from "../../shared/expectation.js";
import type { Area } from "../area.js";
import { MAX_NAME_CHARS, toJsonText } from "../arguments.js";
import { parseObject } from "../json.js";
import { inOrderOfRows, notBefore, pagesByRowId, toOptionalTime, toTime } from "../rows.js";
import { prepareInsert, prepareStatement, selection, toStatement } from "../statements.js";
import type { SessionLine } from "./line.js";
import { SessionRepository } from "./repository.js";

const s = sessions;

const { columns, at } = selection({
  rowId: s.rowId,
  id: s.id,
  startedAt: s.startedAt,
  endedAt: s.endedAt,
  summary: s.summary,
  metadata: s.metadata,
  project: s.project,
});
const insertRow = prepareInsert(s, [s.project, s.id, s.startedAt, s.endedAt, s.summary, s.metadata]);
const deleteRow = prepareStatement(
  sql`delete from ${s} where ${s.project} = ${sql.placeholder("project")} and ${s.id} = ${sql.placeholder("id")}`,
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
    const query = (after: number, limit: number) =>
      sql`select ${columns} from ${s} where ${s.rowId} > ${after}${inOrderOfRows(s.project, project)}
        order by ${s.rowId} limit ${limit}`;
    for await (const rows of pagesByRowId(reader, query)) {
      yield rows.map((row) => ({
        project: row[at.project] as string,
        record: {
          id: row[at.id] as string,
          startedAt: toTime(row[at.startedAt]),
          endedAt: toOptionalTime(row[at.endedAt]),
          summary: row[at.summary] as string | null,
          metadata: parseObject(row[at.metadata], "sessions", row[at.id]),
        },
      }));
    }
  },

  loadLine: () => import("./line.js"),

  parse({ project, repair }, { id, startedAt, endedAt, summary: given, metadata }: SessionLine) {
    expectText("id", id, MAX_NAME_CHARS);
    const summary = repair(given);
    if (summary !== null) expectText("summary", summary, 100_000, 0);
    const json = toJsonText("metadata", repair(metadata), repair);
    return {
      id,
      key: id,
      statements: [insertRow([project, id, Date.parse(startedAt), notBefore(startedAt, endedAt), summary, json])],
    };
  },

  async existing(reader, project, keys) {
    const { rows } = await reader.execute(
      toStatement(sql`select ${s.id} from ${s} where ${s.project} = ${project}
        and ${s.id} in (select value from json_each(${JSON.stringify(keys)}))`),
    );
    return new Set(rows.map((row) => row[0] as string));
  },

  async remove({ project, executor }, id) {
    await executor.execute(deleteRow({ project, id }));
  },

  /** One that has not ended is still in use, however long ago it started. */
  prunable(project) {
    return sql`select ${s.project} as project, ${s.rowId} as row_id, ${s.id} as key, ${s.id} as id, 0 as is_deleted, ${s.endedAt} as updated_at,
      coalesce(octet_length(${s.summary}), 0) as bytes from ${s}
      where ${s.endedAt} is not null${project === undefined ? sql`` : sql` and ${s.project} = ${project}`}`;
  },

  async *damaged() {},

  async *rederive() {},
};
