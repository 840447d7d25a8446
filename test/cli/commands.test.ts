import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { LibsqlError } from "@libsql/client";
import { openStorage, type Storage } from "holdfast";
import { describe, expect, test } from "vitest";
import { inCommandWords, OPTION_NAMES } from "../../src/cli/command-words.js";
import { COMMANDS } from "../../src/cli/commands.js";
import { buildProgram } from "../../src/cli/program.js";
import { toStorageError } from "../../src/client/storage-error.js";
import { holdfast, holdfastToFullDisk } from "../support/cli.js";
import { openSecond } from "../support/clients.js";
import { startServer } from "../support/server.js";
import { tempDatabase } from "../support/temp.js";

const journal = new URL("../../drizzle/meta/_journal.json", import.meta.url);
const { entries } = JSON.parse(readFileSync(journal, "utf8")) as { entries: { tag: string }[] };
const LAST = entries.at(-1)!.tag;

async function filled(path: string, env: Record<string, string> = {}): Promise<void> {
  const storage = await openStorage({ url: path, ...env });
  await fill(storage);
  await storage.close();
}

async function fill(storage: Storage): Promise<void> {
  await storage.sessions.start("s1");
  await storage.memories.insertMany([
    { id: "plain", content: "A walrus lives in the pool", type: "decision" },
    { id: "second", content: "Another walrus, which swims" },
  ]);
  await storage.project("other").memories.insert({ id: "o1", content: "another walrus" });
}

test("the life of a database, command by command, in JSON", async () => {
  await using db = await tempDatabase();
  const json = async (...args: string[]) => {
    const { code, stdout, stderr } = await holdfast([...args, "--json"], {
      cwd: db.dir,
      env: { HOLDFAST_URL: db.path },
    });
    expect({ args, code, stderr: code === 0 ? "" : stderr }).toEqual({ args, code: 0, stderr: "" });
    return JSON.parse(stdout);
  };
  expect(await json("migrate")).toMatchObject({
    applied: expect.arrayContaining([LAST]),
    from: null,
  });
  expect(await json("migrate")).toMatchObject({ applied: [] });
  expect(await json("status")).toMatchObject({ pending: [], changed: [], unknown: [] });
  // By the command: this process would keep the file open until its garbage is collected, and so keep it from a restore.
  await using source = await openStorage(":memory:");
  await fill(source);
  writeFileSync(`${db.dir}/source.jsonl`, await text(source.export()));
  expect(await json("import", "source.jsonl")).toMatchObject({ inserted: 4 });
  expect(await json("stats")).toMatchObject({
    path: db.path,
    projects: [
      { project: "default", count: 3 },
      { project: "other", count: 1 },
    ],
  });
  expect((await json("stats", "--project", "other")).projects).toEqual([{ project: "other", count: 1 }]);
  expect((await json("search", "walrus", "--type", "decision")).results).toMatchObject([{ memory: { id: "plain" } }]);
  expect((await json("search", "walrus", "--project", "other")).results).toMatchObject([{ memory: { id: "o1" } }]);
  expect(await json("check", "--deep")).toMatchObject({ ok: true });
  expect(await json("backup", "copy.db")).toMatchObject({ path: `${db.dir}/copy.db` });
  expect(await json("export", "--out", "all.jsonl")).toEqual({ path: `${db.dir}/all.jsonl`, records: 4 });
  expect(await json("export", "--out", "one.jsonl", "--project", "other")).toMatchObject({ records: 1 });
  expect(await json("prune", "--max-rows", "1", "--dry-run")).toMatchObject({ removed: [{ rows: 1 }], dryRun: true });
  expect(await json("prune", "--max-rows", "1")).toMatchObject({ removed: [{ project: "default", rows: 1 }] });
  expect(await json("prune", "--older-than", "90d", "--max-bytes", "1GB")).toMatchObject({ removed: [] });
  expect(await json("import", "all.jsonl", "--on-conflict", "skip")).toMatchObject({ inserted: 1, skipped: 3 });
  expect(await json("reindex")).toEqual({ tables: expect.arrayContaining(["memories_fts"]) });
  expect(await json("restore", "copy.db")).toMatchObject({
    path: db.path,
    setAside: expect.stringContaining(db.path),
    setAsideFiles: [expect.stringMatching(/-before-restore$/)],
  });
  expect(await json("revert", "--steps", "1")).toMatchObject({ reverted: [LAST] });
  expect(await json("status")).toMatchObject({ pending: [LAST] });
  expect(await json("import", "all.jsonl", "--url", "fresh.db")).toMatchObject({ inserted: 4 });
  const fresh = await holdfast(["export", "--url", "fresh.db"], { cwd: db.dir });
  const lines = (text: string) => text.trim().split("\n").slice(1).sort();
  expect(lines(fresh.stdout)).toEqual(lines(readFileSync(`${db.dir}/all.jsonl`, "utf8")));
  const piped = await holdfast(["import", "-", "--url", "piped.db"], { cwd: db.dir, input: fresh.stdout });
  expect(piped).toEqual({ code: 0, stdout: "inserted 4, replaced 0, skipped 0\n", stderr: "" });
});

describe("commands that only read create nothing", () => {
  const reads = [
    "status",
    "check",
    "stats",
    "search x",
    "export",
    "backup copy.db",
    "prune --max-rows 1",
    "reindex",
    "studio",
  ];
  test.each(reads)("%s of a missing file is NOT_FOUND", async (command) => {
    await using db = await tempDatabase();
    const result = await holdfast([...command.split(" "), "--url", "folder/none.db"], { cwd: db.dir });
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toMatch(/^holdfast: NOT_FOUND: .+none\.db.+\n$/);
    expect(readdirSync(db.dir)).toEqual([]);
  });

  test("an import without its file makes no database", async () => {
    await using db = await tempDatabase();
    const missing = await holdfast(["import", "none.jsonl", "--url", "new.db"], { cwd: db.dir });
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringMatching(/^holdfast: NOT_FOUND: [^\n]+\n$/) });
    expect(existsSync(`${db.dir}/new.db`)).toBe(false);
  });
});

test.each([
  [[], "Usage: holdfast"],
  [["--json"], "Usage: holdfast"],
  [["frobnicate"], "USAGE"],
  [["check", "--bogus"], "USAGE"],
  [["backup"], "USAGE"],
  [["backup", "a", "b"], "USAGE"],
  [["prune"], "--older-than"],
  [["prune", "--max-rows", "1.5"], "whole number"],
  [["prune", "--older-than", "soon"], "90d"],
  [["prune", "--max-rows", "1", "--area", "planets"], "memories"],
  [["revert"], "--steps"],
  [["revert", "--steps", "1", "--to", "x"], "cannot be used"],
  [["import", "x", "--on-conflict", "merge"], "replace"],
  [["studio", "--port", "65536"], "65535"],
  [["stats", "--encryption-key", "x"], "unknown option"],
  [["stats", "--auth-token", "x"], "unknown option"],
] as [string[], string][])("%j is wrong usage", async (args, hint) => {
  await using db = await tempDatabase();
  const { code, stdout, stderr } = await holdfast(args, { cwd: db.dir, env: { HOLDFAST_URL: db.path } });
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(hint);
  if (hint === "USAGE" || !hint.startsWith("Usage")) expect(stderr).toMatch(/^holdfast: USAGE: [^\n]+ --help`\n$/);
  expect(readdirSync(db.dir)).toEqual([]);
});

test("every command has help with an example that it would accept", async () => {
  const program = buildProgram(COMMANDS, () => undefined);
  for (const { usage, example } of COMMANDS) {
    const [name] = usage.split(" ") as [string];
    let help = "";
    const command = program.commands.find((one) => one.name() === name)!;
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    expect(help).toContain(`$ holdfast ${example}`);
    expect(example.startsWith(`${name} `)).toBe(true);
    expect(help).toContain("--json");
    if (name !== "check") continue;
    // A process takes a quarter of a second of CPU time, so one command shows that it prints this.
    const { code, stdout, stderr } = await holdfast([name, "--help"]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: help, stderr: "" });
  }
});

test("check reports damage by its exit code, and makes repairs that lose nothing", async () => {
  await using db = await tempDatabase();
  await filled(db.path);
  {
    using file = openSecond(db.path);
    file.exec("DROP TRIGGER memories_fts_insert");
    file.exec("UPDATE memories SET metadata = '{}x' WHERE id = 'o1'");
  }
  const found = await holdfast(["check", "--deep", "--json", "--url", db.path]);
  expect(found.code).toBe(1);
  expect(JSON.parse(found.stdout).findings.map(({ code }: { code: string }) => code)).toEqual(
    expect.arrayContaining(["OBJECT_MISSING", "CHECKSUM"]),
  );
  expect((await holdfast(["check", "--url", db.path, "--repair"])).code).toBe(0);
  const left = await holdfast(["check", "--url", db.path, "--deep", "--repair"]);
  expect(left).toMatchObject({ code: 1, stdout: expect.stringMatching(/CHECKSUM.*"o1"/) });
  const none = await holdfast(["check", "--url", `${db.dir}`]);
  expect(none).toMatchObject({ code: 1, stdout: expect.stringContaining("CANNOT_OPEN") });
});

describe("a server", () => {
  test("answers the commands that it can, and the others say what to do instead", async () => {
    await using server = await startServer();
    await using db = await tempDatabase();
    writeFileSync(`${db.dir}/app.db`, "");
    const run = (...args: string[]) => holdfast([...args, "--url", server.url], { cwd: db.dir });
    const before = await run("check", "--json");
    expect(before.code).toBe(1);
    expect(JSON.parse(before.stdout).findings).toMatchObject([{ code: "MIGRATION_PENDING" }]);
    expect(await run("stats")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/MIGRATION_PENDING: .*`holdfast migrate --url http.*`/),
    });
    for (const args of [["migrate"], ["status"], ["check", "--deep"], ["stats"], ["search", "x"], ["export"]]) {
      expect(await run(...args), args.join(" ")).toMatchObject({ code: 0 });
    }
    for (const args of [["prune", "--older-than", "90d"], ["reindex"], ["revert", "--steps", "1"]]) {
      expect(await run(...args), args.join(" ")).toMatchObject({ code: 0 });
    }
    for (const [command, alternative] of [
      [["backup", "copy.db"], "backups of its server"],
      [["restore", "app.db"], "`import`"],
      [["studio"], "console"],
    ] as const) {
      const { code, stdout, stderr } = await run(...command);
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(/^holdfast: NOT_SUPPORTED: [^\n]+\n$/);
      expect(stderr).toContain(alternative);
    }
    expect(readdirSync(db.dir)).toEqual(["app.db"]);
  });

  test("that is away is named once", async () => {
    const { code, stderr } = await holdfast(["stats", "--url", "http://127.0.0.1:1"]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^holdfast: UNAVAILABLE: The server [^\n]+\n$/),
    });
  });
});

test("an encrypted file needs its key in the environment", async () => {
  await using db = await tempDatabase();
  await filled(db.path, { encryptionKey: "secret" });
  const refused = await holdfast(["stats", "--url", db.path]);
  expect(refused).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/^holdfast: NOT_A_DATABASE: /) });
  const env = { HOLDFAST_ENCRYPTION_KEY: "secret" };
  expect((await holdfast(["stats", "--url", db.path], { env })).code).toBe(0);
  expect((await holdfast(["check", "--deep", "--url", db.path], { env })).stdout).toMatch(/^ok\n$/m);
  const studio = await holdfast(["studio", "--url", db.path], { env });
  expect(studio).toMatchObject({ code: 1, stderr: expect.stringMatching(/NOT_SUPPORTED/) });
});

test("nothing is overwritten, and no partial file stays", async () => {
  await using db = await tempDatabase();
  await filled(db.path);
  writeFileSync(`${db.dir}/taken`, "mine");
  for (const args of [
    ["export", "--out", `${db.dir}/taken`],
    ["backup", `${db.dir}/taken`],
  ]) {
    const { code, stderr } = await holdfast([...args, "--url", db.path]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^holdfast: EXISTS: [^\n]+\n$/) });
  }
  expect(readFileSync(`${db.dir}/taken`, "utf8")).toBe("mine");
  const nowhere = await holdfast(["export", "--out", `${db.dir}/no/where`, "--url", db.path]);
  expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringMatching(/CANNOT_OPEN/) });
  expect(readdirSync(db.dir).filter((name) => name.includes("partial"))).toEqual([]);
});

test("a bad import names the line in its error", async () => {
  await using db = await tempDatabase();
  const header = JSON.stringify({ format: "holdfast", version: 1, counts: { memories: 1 } });
  writeFileSync(`${db.dir}/bad.jsonl`, `${header}\n{"area":"memories","project":"p","record":{}}\n`);
  const { code, stderr } = await holdfast(["import", "bad.jsonl", "--url", "new/app.db"], { cwd: db.dir });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^holdfast: INVALID_IMPORT: .*line 2: .+\n$/);
  // An import into a new file that fails leaves no empty database, and no folder that was made for it.
  expect(readdirSync(db.dir)).toEqual(["bad.jsonl"]);
  await filled(db.path);
  expect((await holdfast(["import", "bad.jsonl", "--url", db.path], { cwd: db.dir })).code).toBe(1);
  expect(existsSync(db.path)).toBe(true);
});

// A search without --project printed nothing, and a mistyped project nothing but success.
test("a command that finds nothing says so on standard error, with the existing projects", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  for (let n = 0; n < 12; n++) await storage.project(`p${n}`).memories.insert({ content: "a walrus" });
  await storage.project("agent").memories.insertMany([{ content: "a walrus" }, { content: "a seal" }]);
  const run = (...args: string[]) => holdfast([...args, "--url", db.path], { cwd: db.dir });
  const names = '"agent", "p0", "p1", "p10", "p11", "p2", "p3", "p4", "p5", "p6" and 3 more';
  expect(await run("search", "walrus", "--json")).toEqual({
    code: 0,
    stdout: `${JSON.stringify({ query: "walrus", results: [] }, null, 2)}\n`,
    stderr: `found nothing in project "default". Other projects: ${names}. Name one with --project\n`,
  });
  const note = `project "agnt" has no records. Projects with records: ${names}\n`;
  for (const command of [["export"], ["prune", "--max-rows", "0"], ["stats"]]) {
    expect(await run(...command, "--project", "agnt")).toMatchObject({ code: 0, stderr: note });
  }
});

test("errors name the options of the command instead of those of the library", async () => {
  await using db = await tempDatabase();
  await filled(db.path);
  const run = (...args: string[]) => holdfast([...args, "--url", db.path], { cwd: db.dir });
  await run("export", "--out", "all.jsonl");
  const { code, stderr } = await run("import", "all.jsonl");
  expect(code).toBe(1);
  expect(stderr).toMatch(/^holdfast: CONFLICT: .* Set `--on-conflict` to "skip" or "replace"\n$/);
  const program = buildProgram(COMMANDS, () => undefined);
  const flags = [program, ...program.commands].flatMap(({ options }) => options.map(({ long }) => long));
  for (const [name, flag] of Object.entries(OPTION_NAMES)) {
    if (flag.startsWith("--")) expect(flags).toContain(flag);
    expect(inCommandWords(`or set \`${name}\` to it`, undefined)).toBe(`or set \`${flag}\` to it`);
  }
  for (const code of ["CORRUPT", "BUSY", "CONSTRAINT", "ERROR"]) {
    const damage = new LibsqlError("no such table: memories_fts", `SQLITE_${code}`);
    const { message } = toStorageError(damage) as Error;
    expect(inCommandWords(message, undefined)).not.toMatch(/\w\(\)|busyTimeoutMs/);
  }
});

test("salvage tells what it saved in words, tables of your own included", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  await fill(storage);
  await storage.client.executeMultiple(
    "CREATE TABLE calls (id INTEGER PRIMARY KEY); INSERT INTO calls VALUES (1), (2)",
  );
  // A copy that this process does not open: the database itself stays in use until its garbage is collected.
  const path = `${db.dir}/copy.db`;
  await storage.client.execute(`VACUUM INTO '${path}'`);
  const { code, stdout, stderr } = await holdfast(["salvage", path, `${db.dir}/saved.db`]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.split("\n").slice(0, -1)).toEqual([
    "memories\t3 saved\t0 lost",
    "sessions\t1 saved\t0 lost",
    "conversations\t0 saved\t0 lost",
    "graph\t0 saved\t0 lost",
    "stories\t0 saved\t0 lost",
    "table calls\t2 saved\t0 lost",
    `salvaged to ${db.dir}/saved.db`,
  ]);
});

test.each([["export"], ["stats"], ["stats", "--json"]])(
  "%s whose output finds the disk full says so on one line",
  async (...args) => {
    await using db = await tempDatabase();
    await filled(db.path);
    const { code, stderr } = await holdfastToFullDisk([...args, "--url", db.path]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^holdfast: FULL: Cannot write the output: [^\n]*\n$/);
  },
);

test("a password in the URL is refused and not repeated, an empty project is no project", async () => {
  const { code, stderr } = await holdfast(["stats", "--url", "http://user:PASSWORD@127.0.0.1:1"]);
  expect([code, stderr]).toEqual([2, expect.not.stringContaining("PASSWORD")]);
  expect(await holdfast(["stats", "--url", ":memory:", "--project", ""])).toMatchObject({ code: 2 });
});
