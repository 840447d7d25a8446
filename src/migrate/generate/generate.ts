import { spawn } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { StorageError } from "../../shared/errors.js";
import { withoutState } from "../failure.js";
import { type Journal, readJournal } from "../journal.js";
import { before, completeForward, find, openAt } from "./complete-forward.js";
import { findConfig, readOut } from "./config.js";
import { failureOnRows, ROWS_ADVICE } from "./fails-on-rows.js";
import { findKit, type Kit } from "./kit.js";
import { readIfThere } from "./read-if-there.js";
import { repairSql } from "./repairs.js";
import { compareSchemas, schemaText } from "./schema-text.js";
import { emptySnapshot, readSnapshot, type Snapshot, snapshotPath } from "./snapshot.js";
import { type DownFile, writeDown } from "./write-down.js";

export interface GenerateOptions {
  /** The folder of the migrations. With a config file, it is its `out`, and may be left out. */
  readonly folder?: string | undefined;
  /** The file of the Drizzle schema. Without it, drizzle-kit reads the config file. */
  readonly schema?: string | undefined;
  /** The config file of drizzle-kit. @default drizzle.config.ts, .js or .json of the project */
  readonly config?: string | undefined;
  readonly name?: string | undefined;
  /** Whether to make an empty migration, for SQL of your own. */
  readonly custom?: boolean | undefined;
  /** Whether a schema without tables is meant, so that the migration drops all of them. */
  readonly dropAll?: boolean | undefined;
  /** The project's folder, in which drizzle-kit runs. @default the working folder */
  readonly project?: string | undefined;
}

export interface Generated {
  readonly folder: string;
  /** The new migrations; none if the schema is unchanged. */
  readonly generated: readonly GeneratedMigration[];
}

export interface GeneratedMigration {
  readonly tag: string;
  readonly path: string;
  /** The tables that it drops, with their rows. */
  readonly dropped: readonly string[];
  /** The faults of drizzle-kit that were repaired. */
  readonly repaired: readonly string[];
  /** The statements that were added to keep what a rebuild loses. */
  readonly added: readonly string[];
  /** Where the result differs from the Drizzle schema; empty if it does not. */
  readonly differences: readonly string[];
  readonly down: DownFile;
}

/**
 * Runs the drizzle-kit of a project, and makes what it wrote safe: repairs its known faults, adds what a table rebuild
 * would lose, and writes the down file, tested on rows.
 *
 * A migration that fails on every file with rows, or that drops all tables by mistake, is taken back. drizzle-kit asks
 * its questions on the terminal. Its output goes to standard error.
 */
export async function generate(options: GenerateOptions): Promise<Generated> {
  const project = resolve(options.project ?? ".");
  const kit = findKit(project);
  const folder = folderOf(options, project, kit);
  const known = new Set(journalOf(folder).map(({ tag }) => tag));
  const journalText = readIfThere(journalPath(folder));
  const errors = await runKit(kit, project, kitArguments(options, project, folder));
  const tags = journalOf(folder).map(({ tag }) => tag);
  const fresh = tags.filter((tag) => !known.has(tag));
  // It exits with 0 if the schema throws.
  if (fresh.length === 0 && /^\w*Error\b/m.test(errors)) throw kitFailed(kit.version, "wrote no migration");
  const takeBack = () => {
    for (const tag of fresh) {
      rmSync(join(folder, `${tag}.sql`));
      rmSync(snapshotPath(folder, tag));
    }
    writeFileSync(journalPath(folder), journalText!);
  };
  const generated: GeneratedMigration[] = [];
  for (const tag of fresh) generated.push(await finish(folder, tag, kit, options, takeBack));
  return { folder, generated };
}

/** The folder of the migrations. Throws RangeError if it is not the one that drizzle-kit will write to. */
function folderOf({ folder, schema, config }: GenerateOptions, project: string, kit: Kit): string {
  const given = folder === undefined ? undefined : resolve(project, folder);
  if (schema !== undefined) return given!;
  const path = findConfig(project, config);
  const out = readOut(kit, project, path);
  if (given === undefined || given === out) return out;
  throw new RangeError(
    `Expected --folder to be the \`out\` of ${path}, ${out}, got ${given}. Leave --folder out, or change the config`,
  );
}

/** Makes a migration that drizzle-kit has just written safe. */
async function finish(
  folder: string,
  tag: string,
  kit: Kit,
  { custom: isCustom = false, dropAll = false }: GenerateOptions,
  takeBack: () => void,
): Promise<GeneratedMigration> {
  const { journal, migration } = find(folder, tag);
  const { path, sql } = migration;
  const snapshot = readSnapshot(folder, tag);
  const dropped = droppedTables(folder, before(journal, migration), snapshot);
  if (dropped.length > 0 && Object.keys(snapshot.tables).length === 0 && !dropAll) {
    takeBack();
    throw new StorageError(
      "INVALID",
      `The schema has no tables, so the migration would drop all of them with their rows: ${dropped.join(", ")}. Nothing was written. Check that the schema file exports its tables; if you mean it, add --drop-all`,
    );
  }
  const { sql: text, notes } = isCustom ? { sql, notes: [] } : repairSql(sql, snapshot);
  if (text !== sql) writeFileSync(path, text);
  let generated: GeneratedMigration;
  try {
    const added = await completeForward(folder, tag);
    const differences = isCustom ? [] : await compareWithSnapshot(folder, tag, kit);
    const down = await writeDown(folder, tag, kit);
    generated = { tag, path, dropped, repaired: notes, added, differences, down };
  } catch (error) {
    if (error instanceof StorageError && error.code !== "MIGRATION_FAILED") throw error;
    throw new StorageError(
      "MIGRATION_FAILED",
      `drizzle-kit wrote ${path}, and it cannot be applied to an empty database: ${(error as Error).message}. Correct the file and write ${tag}.down.sql, or take the migration back with \`drizzle-kit drop\``,
      { cause: error },
    );
  }
  const failure = isCustom ? undefined : await failureOnRows({ folder }, before(journal, migration), tag);
  if (failure === undefined) return generated;
  // Its SQL must not be corrected by hand: the snapshot would not have the correction, and undo it in the next migration.
  takeBack();
  if (generated.down.state !== "kept") rmSync(generated.down.path);
  throw new StorageError(
    "MIGRATION_FAILED",
    `The migration would fail on each table that has rows: ${withoutState(failure.message)}. Nothing was written. ${ROWS_ADVICE}`,
    { cause: failure },
  );
}

/** The tables of the snapshot before that are neither in the new one nor renamed. */
function droppedTables(folder: string, previous: string | undefined, { tables, _meta }: Snapshot): string[] {
  if (previous === undefined) return [];
  const renamed = Object.keys(_meta?.tables ?? {}).map((name) => name.replaceAll('"', ""));
  const names = Object.values(readSnapshot(folder, previous).tables).map(({ name }) => name);
  return names.filter((name) => tables[name] === undefined && !renamed.includes(name));
}

/** Where the schema that the migrations build differs from the one that the snapshot describes. */
async function compareWithSnapshot(folder: string, tag: string, kit: Kit): Promise<string[]> {
  const snapshot = readSnapshot(folder, tag);
  await using wanted = await openAt(folder, undefined);
  for (const statement of await kit.generateSql(emptySnapshot(snapshot), { ...snapshot, views: {} })) {
    await wanted.execute(repairSql(statement, snapshot).sql);
  }
  await using found = await openAt(folder, tag);
  return compareSchemas(await schemaText(wanted), await schemaText(found));
}

function journalPath(folder: string): string {
  return join(folder, "meta", "_journal.json");
}

function journalOf(folder: string): Journal {
  return existsSync(journalPath(folder)) ? readJournal(folder) : [];
}

function kitArguments({ schema, config, name, custom }: GenerateOptions, project: string, folder: string): string[] {
  // drizzle-kit resolves these paths in the folder in which it runs.
  const inProject = (path: string) => relative(project, resolve(project, path)) || ".";
  const source =
    schema === undefined
      ? config === undefined
        ? []
        : ["--config", config]
      : ["--dialect", "sqlite", "--schema", inProject(schema), "--out", inProject(folder)];
  return [
    "generate",
    ...source,
    ...(name === undefined ? [] : ["--name", name]),
    ...(custom === true ? ["--custom"] : []),
  ];
}

/** Runs drizzle-kit, and returns what it wrote to standard error. */
function runKit({ program, version }: Kit, cwd: string, args: readonly string[]): Promise<string> {
  return new Promise((done, fail) => {
    // Standard output is for the answer of the command.
    const child = spawn(process.execPath, [program, ...args], { cwd, stdio: ["inherit", 2, "pipe"] });
    let errors = "";
    child.stderr!.on("data", (bytes: Buffer) => {
      errors += bytes;
      process.stderr.write(bytes);
    });
    child.once("error", fail);
    child.once("close", (code) => {
      if (code === 0) done(errors);
      else fail(kitFailed(version, `failed with exit code ${code}`));
    });
  });
}

function kitFailed(version: string, how: string): StorageError {
  const advice = "Its output says why. If it asks about a rename, run this in a terminal";
  return new StorageError("MIGRATION_FAILED", `drizzle-kit ${version} generate ${how}. ${advice}`);
}
