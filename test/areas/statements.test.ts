import { sql } from "drizzle-orm";
import { expect, test } from "vitest";
import { inParts, list, prepareStatement, rendered, selection, toStatement } from "../../src/areas/statements.js";
import { memories } from "../../src/schema/memories.js";

const statement = (rows: readonly object[]) => ({ sql: "insert", args: [JSON.stringify(rows)] });
const sizes = (rows: readonly object[]) =>
  inParts(rows, statement).map(({ args }) => (JSON.parse(args[0] as string) as unknown[]).length);

test.each<[string, readonly object[], number[]]>([
  ["no rows", [], [0]],
  ["as many rows as fit", Array.from({ length: 1_000 }, () => [1]), [1_000]],
  ["more", Array.from({ length: 2_500 }, () => [1]), [1_000, 1_000, 500]],
  ["long texts", Array.from({ length: 9 }, () => ["id", "x".repeat(1_000_000)]), [3, 3, 3]],
  ["texts of more bytes than characters", Array.from({ length: 4 }, () => ["\u3042".repeat(999_999)]), [1, 1, 1, 1]],
  ["a text that is too long by itself", [["x".repeat(5_000_000)], ["y"]], [1, 1]],
])("%s go into statements in order, none too long for a server or a string", (_, rows, expected) => {
  expect(sizes(rows)).toEqual(expected);
});

test("a rendered part of a statement gives the same SQL, and keeps its arguments", () => {
  const { id, content } = memories;
  const parts = [sql`${id}, ${content}`, sql`${id} = ${"a"}`, selection({ id, text: content }).columns];
  const texts = parts.map((part) => toStatement(sql`select ${rendered(() => part)}`));
  expect(texts).toEqual(parts.map((part) => toStatement(sql`select ${part}`)));
  expect(texts[2]!.sql).toBe('select "memories"."id" as "id", "memories"."content" as "text"');
});

// A process that stores one record uses few of the 300 statements and parts that the modules have.
test("statements and their parts are made at the first use, and once", () => {
  const made: string[] = [];
  const note = (name: string) => {
    made.push(name);
    return sql.raw(name);
  };
  const part = rendered(() => note("part"));
  const statement = prepareStatement(() => sql`select ${part} from ${note("statement")}`);
  expect(made).toEqual([]);
  const once = { sql: "select part from statement", args: [] };
  expect([statement({}), statement({}), toStatement(sql`${part}`).sql]).toEqual([once, once, "part"]);
  expect(made).toEqual(["statement", "part"]);
});

test("a prefix keeps the names of several selections of one SELECT apart", () => {
  const [a, b] = [selection({ id: sql`a.id` }, "a_"), selection({ id: sql`b.id` }, "b_")];
  expect([a.at.id, b.at.id]).toEqual(["a_id", "b_id"]);
  expect(toStatement(list([a.columns, b.columns])).sql).toBe('a.id as "a_id", b.id as "b_id"');
});
