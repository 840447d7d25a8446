import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { StorageError } from "../../shared/errors.js";
import type { Kit } from "./kit.js";
import { readIfThere } from "./read-if-there.js";

/** The files that drizzle-kit looks for, in its order. */
const DEFAULT_CONFIGS = ["drizzle.config.ts", "drizzle.config.js", "drizzle.config.json"];

/** The folder in which drizzle-kit writes migrations if the config file names none. */
const DEFAULT_OUT = "drizzle";

/** Of drizzle-kit: those whose migrations run on libSQL. */
const DIALECTS: readonly unknown[] = ["sqlite", "turso"];

/** Whether drizzle-kit finds a config file in a folder by itself. */
export function hasConfig(project: string): boolean {
  return DEFAULT_CONFIGS.some((name) => existsSync(resolve(project, name)));
}

/** The path of the config file of a project. Throws NOT_FOUND. */
export function findConfig(project: string, given: string | undefined): string {
  const names = given === undefined ? DEFAULT_CONFIGS : [given];
  const found = names.map((name) => resolve(project, name)).find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new StorageError(
    "NOT_FOUND",
    given === undefined
      ? `There is no drizzle.config.ts, .js or .json in ${project}. Create one, or name the Drizzle schema and the folder of its migrations`
      : `There is no config file ${resolve(project, given)}. Check the path`,
  );
}

/**
 * The folder in which drizzle-kit writes migrations by a config file. drizzle-kit loads the file, since it may be
 * TypeScript, by a config file that ends the process before anything is written. Throws MIGRATION_FAILED if it cannot,
 * and RangeError if the config is for another database than SQLite.
 */
export function readOut({ program, version }: Kit, project: string, config: string): string {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-config-"));
  try {
    const probe = join(folder, "config.cjs");
    const answer = join(folder, "out.json");
    writeFileSync(
      probe,
      `const given = require(${JSON.stringify(config)});
const { out = ${JSON.stringify(DEFAULT_OUT)}, dialect } = given.default ?? given;
require("node:fs").writeFileSync(${JSON.stringify(answer)}, JSON.stringify({ out, dialect }));
process.exit(0);\n`,
    );
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, "generate", "--config", probe], {
      cwd: project,
      encoding: "utf8",
    });
    const text = readIfThere(answer);
    if (text !== undefined) {
      const { out, dialect } = JSON.parse(text) as { out: unknown; dialect?: unknown };
      // Without a dialect, drizzle-kit itself says what is missing.
      if (dialect !== undefined && !DIALECTS.includes(dialect)) {
        throw new RangeError(
          `Expected the \`dialect\` of ${config} to be "sqlite" or "turso", got ${JSON.stringify(dialect)}. Holdfast stores in SQLite files. Nothing was written`,
        );
      }
      return resolve(project, String(out));
    }
    process.stderr.write(stdout + stderr);
    throw new StorageError(
      "MIGRATION_FAILED",
      `drizzle-kit ${version} could not load ${config} (exit code ${status}). Its output says why`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
