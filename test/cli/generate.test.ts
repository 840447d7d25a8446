import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { lint, migrate, revert } from "holdfast/migrate";
import { expect, test } from "vitest";
import { schemaText } from "../../src/migrate/generate/schema-text.js";
import { holdfast, holdfastAtPrompt } from "../support/cli.js";
import { column, openTestClient } from "../support/clients.js";
import { addMigration, installKit } from "../support/drizzle-kit.js";
import { tempDatabase } from "../support/temp.js";

const IMPORTS = `import { sql } from "drizzle-orm";
import { index, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";\n`;
const FIRST = `${IMPORTS}
export const people = sqliteTable("people", {
  id: integer("id").primaryKey(), name: text("name").notNull(), age: integer("age"),
  low: text("low").generatedAlwaysAs(sql\`lower(name)\`),
}, (t) => [uniqueIndex("by_lower").on(sql\`lower(\${t.name})\`)]);
export const notes = sqliteTable("notes", { id: text("id").primaryKey(), body: text("body").notNull() });`;
// A rebuild with a new column, a generated column and an index of an expression; a new column with a foreign key.
const SECOND = `${IMPORTS}
export const people = sqliteTable("people", {
  id: integer("id").primaryKey(), name: text("name").notNull(), age: integer("age").notNull(), more: text("more"),
  low: text("low").generatedAlwaysAs(sql\`lower(name)\`),
}, (t) => [uniqueIndex("by_lower").on(sql\`lower(\${t.name})\`)]);
export const notes = sqliteTable("notes", {
  id: text("id").primaryKey(), body: text("body").notNull(),
  owner: integer("owner").references(() => people.id, { onDelete: "cascade", onUpdate: "set null" }),
}, (t) => [index("by_start").on(sql\`substr(\${t.body}, 1, 10)\`, t.owner)]);`;
// A rename and a rebuild of one table.
const THIRD = SECOND.replace(
  'name: text("name").notNull(), age: integer("age").notNull()',
  'fullName: text("full_name").notNull(), age: integer("age")',
)
  .replace("lower(name)", "lower(full_name)")
  .replace("t.name", "t.fullName");
const TABLE = { table: "app_migrations" };

async function project() {
  const temp = await tempDatabase();
  installKit(temp.dir);
  const folder = join(temp.dir, "drizzle");
  const generate = async (schema: string, name: string, ...args: string[]) => {
    writeFileSync(join(temp.dir, "schema.ts"), schema);
    const { code, stdout, stderr } = await holdfast(
      ["generate", "--folder", "drizzle", "--schema", "schema.ts", "--name", name, "--json", ...args],
      { cwd: temp.dir },
    );
    expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
    return JSON.parse(stdout).generated;
  };
  return { temp, folder, generate, [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose]() };
}

test("generate repairs what drizzle-kit writes wrongly, and the migration goes up, down and up again with rows", async () => {
  await using app = await project();
  expect(await app.generate(FIRST, "first")).toMatchObject([
    { tag: "0000_first", differences: [], down: { state: "generated" } },
  ]);
  await using client = openTestClient(app.temp.url);
  await migrate(client, { folder: app.folder, ...TABLE });
  await client.execute("INSERT INTO people (id, name, age) VALUES (1, 'Ada', 36), (2, 'Grace', 85)");
  await client.execute("INSERT INTO notes VALUES ('n1', 'first')");
  const before = await schemaText(client);

  const [second] = await app.generate(SECOND, "second");
  expect(second).toMatchObject({ differences: [], down: { state: "generated", notes: [] } });
  expect(second.repaired).toHaveLength(3);
  // One statement between two breakpoints.
  const parts = readFileSync(second.path, "utf8").split("--> statement-breakpoint");
  expect(parts.every((part) => part.trim().endsWith(";"))).toBe(true);
  expect(await lint({ folder: app.folder })).toMatchObject({ ok: true });
  for (let round = 0; round < 2; round++) {
    await migrate(client, { folder: app.folder, ...TABLE });
    expect(await column(client, "SELECT name || coalesce(more, ' has none') || low FROM people ORDER BY id")).toEqual([
      "Ada has noneada",
      "Grace has nonegrace",
    ]);
    expect(await column(client, "SELECT on_delete || ' ' || on_update FROM pragma_foreign_key_list('notes')")).toEqual([
      "CASCADE SET NULL",
    ]);
    const plan = await client.execute("EXPLAIN QUERY PLAN SELECT 1 FROM people WHERE lower(name) = 'ada'");
    expect(String(plan.rows[0]!.detail)).toContain("by_lower");
    if (round > 0) break;
    await revert(client, { folder: app.folder, ...TABLE, steps: 1 });
    expect(await schemaText(client)).toBe(before);
    expect(await column(client, "SELECT name FROM people ORDER BY id")).toEqual(["Ada", "Grace"]);
  }
  expect(await app.generate(SECOND, "again")).toEqual([]);
});

test("a rename that drizzle-kit forgets in a rebuild is added, so that values and triggers stay", async () => {
  await using app = await project();
  await app.generate(SECOND, "first");
  const [custom] = await app.generate(SECOND, "log", "--custom");
  expect(custom).toMatchObject({ tag: "0001_log", down: { state: "unfinished" } });
  writeFileSync(
    custom.path,
    "CREATE TRIGGER renamed AFTER UPDATE OF name ON people BEGIN UPDATE notes SET body = new.name; END;",
  );
  writeFileSync(custom.down.path, "DROP TRIGGER renamed;");
  writeFileSync(join(app.temp.dir, "schema.ts"), THIRD);
  // Chooses the second answer, a rename.
  const run = await holdfastAtPrompt(["generate", "--folder", "drizzle", "--schema", "schema.ts", "--name", "third"], {
    cwd: app.temp.dir,
    prompt: "created or renamed",
    keys: "\u001b[B\r",
  });
  expect(run.stdout).toContain("added a rename that the rebuild lost");
  expect(run.code).toBe(0);
  expect(run.stdout).toMatch(/generated .*0002_third\.down\.sql/);
  await using client = openTestClient(app.temp.url);
  await migrate(client, { folder: app.folder, ...TABLE, to: "0001_log" });
  await client.execute("INSERT INTO people (id, name, age) VALUES (1, 'Ada', 36)");
  await client.execute("INSERT INTO notes (id, body, owner) VALUES ('n1', 'first', 1)");
  await migrate(client, { folder: app.folder, ...TABLE });
  expect(await column(client, "SELECT full_name FROM people")).toEqual(["Ada"]);
  await client.execute("UPDATE people SET full_name = 'Ada L.'");
  expect(await column(client, "SELECT body FROM notes")).toEqual(["Ada L."]);
  await revert(client, { folder: app.folder, ...TABLE, steps: 1 });
  expect(await column(client, "SELECT name FROM people")).toEqual(["Ada L."]);
});

test("generate passes on a config file, and finds it by itself", async () => {
  await using app = await project();
  writeFileSync(join(app.temp.dir, "schema.ts"), FIRST);
  for (const [name, args] of [
    ["drizzle.config.ts", []],
    ["other.config.ts", ["--config", "other.config.ts"]],
  ] as const) {
    const out = name.split(".", 1)[0]!;
    const config = { dialect: "sqlite", schema: "./schema.ts", out: `./${out}` };
    writeFileSync(join(app.temp.dir, name), `export default ${JSON.stringify(config)};`);
    for (const [migration, folder] of [
      ["one", ["--folder", out]],
      ["two", ["--custom"]],
    ] as const) {
      const run = await holdfast(["generate", ...folder, "--name", migration, ...args], {
        cwd: app.temp.dir,
      });
      expect(run).toMatchObject({ code: 0, stdout: expect.stringContaining(`_${migration}.down.sql`) });
    }
    const files = ["0000_one.down.sql", "0000_one.sql", "0001_two.down.sql", "0001_two.sql", "meta"];
    expect(readdirSync(join(app.temp.dir, out)).sort()).toEqual(files);
  }
});

// drizzle-kit wrote to `out`, and the command said that there were no changes in the other folder.
test("a folder that is not the `out` of the config is wrong usage, and nothing is written", async () => {
  await using app = await project();
  writeFileSync(join(app.temp.dir, "schema.ts"), FIRST);
  writeFileSync(
    join(app.temp.dir, "drizzle.config.ts"),
    `export default { dialect: "sqlite", schema: "./schema.ts" };`,
  );
  for (const config of [[], ["--config", "drizzle.config.ts"]]) {
    const args = ["generate", "--folder", "migrations", "--name", "one", ...config];
    const run = await holdfast(args, { cwd: app.temp.dir });
    expect(run).toMatchObject({ code: 2, stdout: "" });
    expect(run.stderr).toMatch(
      /USAGE: Expected --folder to be the `out` of .*drizzle\.config\.ts, .*\/drizzle, got .*\/migrations/,
    );
  }
  expect(readdirSync(app.temp.dir).sort()).toEqual(["drizzle.config.ts", "node_modules", "schema.ts"]);
});

// drizzle-kit wrote its files, and the command failed with all the differences of the snapshot's format.
test.each(["postgresql", "mysql", "singlestore", "gel"])(
  "a config of the dialect %s is wrong usage, and nothing is written",
  async (dialect) => {
    await using app = await project();
    writeFileSync(join(app.temp.dir, "schema.ts"), FIRST);
    const config = { dialect, schema: "./schema.ts", out: "./migrations" };
    writeFileSync(join(app.temp.dir, "drizzle.config.ts"), `export default ${JSON.stringify(config)};`);
    const run = await holdfast(["generate", "--name", "one"], { cwd: app.temp.dir });
    expect(run).toMatchObject({ code: 2, stdout: "" });
    expect(run.stderr).toMatch(
      new RegExp(`USAGE: Expected the \`dialect\` of .*config\\.ts to be "sqlite" or "turso", got "${dialect}"`),
    );
    expect(readdirSync(app.temp.dir).sort()).toEqual(["drizzle.config.ts", "node_modules", "schema.ts"]);
  },
);

test("a config file that is missing or cannot be loaded is an error", async () => {
  await using app = await project();
  const run = (...args: string[]) => holdfast(["generate", ...args], { cwd: app.temp.dir });
  const missing = /NOT_FOUND: There is no drizzle\.config\.ts, \.js or \.json in /;
  expect(await run("--folder", "drizzle")).toMatchObject({ code: 1, stderr: expect.stringMatching(missing) });
  expect(await run("--config", "x.ts")).toMatchObject({ code: 1, stderr: expect.stringContaining("no config file") });
  writeFileSync(join(app.temp.dir, "drizzle.config.ts"), "export default nothing;");
  const { code, stderr } = await run();
  expect(code).toBe(1);
  expect(stderr).toContain("nothing is not defined");
  expect(stderr).toMatch(/MIGRATION_FAILED: drizzle-kit .* could not load .*drizzle\.config\.ts/);
});

test.each([
  ["without drizzle-kit", undefined, "NOT_FOUND"],
  ["with drizzle-kit 1.0", "1.0.0", "NOT_SUPPORTED"],
])("generate %s says so", async (_, version, code) => {
  await using temp = await tempDatabase();
  if (version !== undefined) {
    const folder = join(temp.dir, "node_modules/drizzle-kit");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "drizzle-kit", version, main: "index.js" }));
    writeFileSync(join(folder, "index.js"), "");
  }
  const run = await holdfast(["generate", "--folder", "drizzle", "--name", "x"], { cwd: temp.dir });
  expect(run).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(new RegExp(`^holdfast: ${code}: drizzle-kit`)),
  });
});

// drizzle-kit itself exits with 0 then.
test("a schema that drizzle-kit cannot read fails the command, and its own output says why", async () => {
  await using app = await project();
  writeFileSync(join(app.temp.dir, "schema.ts"), "export const x = nothing;");
  const run = await holdfast(["generate", "--folder", "drizzle", "--schema", "schema.ts"], { cwd: app.temp.dir });
  expect(run).toMatchObject({ code: 1, stdout: "" });
  expect(run.stderr).toContain("nothing is not defined");
  expect(run.stderr).toMatch(/holdfast: MIGRATION_FAILED: drizzle-kit .* generate wrote no migration/);
});

test("a new column that every row would need a value for fails the command, and says what to do", async () => {
  await using app = await project();
  const columns = { id: integer().primaryKey(), name: text().notNull() };
  await addMigration(app.temp, "first", { people: sqliteTable("people", columns) });
  const journal = readFileSync(join(app.folder, "meta/_journal.json"), "utf8");
  writeFileSync(
    join(app.temp.dir, "schema.ts"),
    `${IMPORTS} export const people = sqliteTable("people", { id: integer().primaryKey(), name: text().notNull(), owner: text().notNull() });`,
  );
  const run = await holdfast(
    ["generate", "--folder", "drizzle", "--schema", "schema.ts", "--name", "owner", "--json"],
    { cwd: app.temp.dir },
  );
  expect(run.code).toBe(1);
  expect(JSON.parse(run.stdout).error).toMatchObject({
    code: "MIGRATION_FAILED",
    message: expect.stringMatching(
      /The migration would fail on each table that has rows: .*NOT NULL.*\. Nothing was written\. Give the column a constant default; /,
    ),
  });
  expect(readdirSync(app.folder).sort()).toEqual(["0000_first.sql", "meta"]);
  expect(readdirSync(join(app.folder, "meta")).sort()).toEqual(["0000_snapshot.json", "_journal.json"]);
  expect(readFileSync(join(app.folder, "meta/_journal.json"), "utf8")).toBe(journal);
});

test("a schema without tables writes nothing, names the tables that would be dropped, and needs --drop-all", async () => {
  await using app = await project();
  await app.generate(FIRST, "first");
  const journal = readFileSync(join(app.folder, "meta/_journal.json"), "utf8");
  const files = readdirSync(app.folder, { recursive: true }).sort();
  const args = ["generate", "--folder", "drizzle", "--name", "gone", "--json", "--schema"];
  writeFileSync(join(app.temp.dir, "empty.ts"), "export const unrelated = 1;");
  const refused = await holdfast([...args, "empty.ts"], { cwd: app.temp.dir });
  expect(refused.code).toBe(1);
  expect(JSON.parse(refused.stdout).error).toEqual({
    code: "INVALID",
    message: expect.stringMatching(
      /drop all of them with their rows: notes, people\. Nothing was written\..* --drop-all/,
    ),
  });
  // drizzle-kit itself refuses this.
  const unmatched = await holdfast([...args, "nothing/*.ts"], { cwd: app.temp.dir });
  expect(unmatched.code).toBe(1);
  expect(readFileSync(join(app.folder, "meta/_journal.json"), "utf8")).toBe(journal);
  expect(readdirSync(app.folder, { recursive: true }).sort()).toEqual(files);

  const [dropping] = await app.generate("", "notes", "--drop-all");
  expect(dropping).toMatchObject({ dropped: ["notes", "people"], down: { state: "generated" } });
});

test("generate lists the tables that a migration drops, without those that it renames", async () => {
  await using app = await project();
  await app.generate(FIRST, "first");
  const less = FIRST.replace(/export const notes.*$/s, "");
  const [one] = await app.generate(less, "less");
  expect(one).toMatchObject({ dropped: ["notes"] });
  writeFileSync(join(app.temp.dir, "schema.ts"), less.replace('"people"', '"persons"'));
  const args = ["generate", "--folder", "drizzle", "--schema", "schema.ts", "--name", "renamed"];
  const keys = "\u001b[B\r";
  const run = await holdfastAtPrompt(args, { cwd: app.temp.dir, prompt: "created or renamed", keys });
  expect(run.stdout).toMatch(/generated .*0002_renamed\.sql/);
  expect(run.stdout).not.toContain("drops the table");
});

test.each([
  [["generate"], "Expected --folder"],
  [["generate", "--schema", "a"], "Expected --folder with --schema"],
  [["generate", "--folder", "x", "--schema", "a", "--config", "b"], "Expected --schema or --config"],
])("%j is wrong usage", async (args, hint) => {
  await using temp = await tempDatabase();
  expect(await holdfast(args, { cwd: temp.dir })).toMatchObject({ code: 2, stderr: expect.stringContaining(hint) });
});

test.each(["../x", ""])("the name %j is refused before drizzle-kit writes its journal", async (name) => {
  await using temp = await tempDatabase();
  installKit(temp.dir);
  writeFileSync(join(temp.dir, "schema.ts"), FIRST);
  const { code, stderr } = await holdfast(
    ["generate", "--folder", "drizzle", "--schema", "schema.ts", "--name", name, "--custom"],
    { cwd: temp.dir },
  );
  expect(code).toBe(2);
  expect(stderr).toMatch(/USAGE: Expected --name/);
  expect(readdirSync(temp.dir)).not.toContain("drizzle");
});
