import { sql } from "drizzle-orm";
import { expect, test } from "vitest";
import type { Reader } from "../../src/areas/area.js";
import { filterConditions } from "../../src/areas/memories/filter.js";
import { AREAS } from "../../src/areas/registry.js";
import { all, toStatement } from "../../src/areas/statements.js";
import { memories } from "../../src/schema/memories.js";
import { tempStorage } from "../support/storage.js";

test.each(AREAS.map((area) => [area.name, area] as const))(
  "maintenance of %s finds a record by its key and a page by its place, without a sort or a walk of the project",
  async (_name, area) => {
    await using temp = await tempStorage();
    const { client } = temp.storage;
    const plan = async (statement: { sql: string; args: readonly unknown[] }) => {
      const { rows } = await client.execute({ sql: `EXPLAIN QUERY PLAN ${statement.sql}`, args: statement.args as [] });
      return rows.map((row) => String(row[3]));
    };
    const recheck = await plan(
      toStatement(sql`select row_id, updated_at from (${area.prunable(undefined)})
        where row_id in (select value from json_each(${"[1,2]"}))`),
    );
    expect(recheck[0]).toMatch(/USING INTEGER PRIMARY KEY \(rowid=\?\)/);
    const statements: { sql: string; args: readonly unknown[] }[] = [];
    const recorder: Reader = {
      execute: (statement) => {
        statements.push(statement);
        return client.execute(statement);
      },
    };
    for (const project of ["default", undefined]) for await (const _ of area.pages(recorder, project));
    for await (const _ of area.damaged(recorder));
    expect(statements.length).toBeGreaterThan(1);
    // Small tables are read at once.
    for (const statement of statements.filter((one) => one.sql.includes("limit ?"))) {
      const lines = await plan(statement);
      expect(lines.join(), statement.sql).not.toMatch(/TEMP B-TREE|SCAN (?!json_each|\(subquery)/);
    }
  },
);

test.each([{ source: "s" }, { sessionId: "s" }, { type: "t" }])(
  "a list of memories with %j reads their index",
  async (filter) => {
    await using temp = await tempStorage();
    const query = sql`select 1 from ${memories} where ${all(filterConditions("default", filter))} order by created_at desc`;
    const { sql: text, args } = toStatement(query);
    const { rows } = await temp.storage.client.execute({ sql: `EXPLAIN QUERY PLAN ${text}`, args });
    const [column] = Object.keys(filter);
    const name = { source: "memories_source", sessionId: "memories_session", type: "memories_type" }[
      column as "source"
    ];
    expect(rows.map((row) => String(row.detail)).join()).toMatch(new RegExp(`^SEARCH memories USING .*INDEX ${name} `));
  },
);
