import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServer } from "./server.js";

const VARIABLE = "HOLDFAST_TEST_TEMPLATES";

/** Databases that are migrated and empty: a file, and the data of a server. No process has them open. */
export interface Templates {
  readonly file: string;
  readonly server: string;
}

/** The templates of this run. Undefined in a soak, which has none. */
export function templates(): Templates | undefined {
  const folder = process.env[VARIABLE];
  return folder === undefined ? undefined : { file: join(folder, "file.db"), server: join(folder, "server") };
}

/**
 * For vitest's `globalSetup`: creates the templates once for each run, because migrating a new database takes much
 * longer than opening one (bench: openStorages), and nearly every test has a new one. The returned function removes
 * them.
 */
export default async function setup(): Promise<() => void> {
  const known = process.env[VARIABLE];
  // Each project of the run calls this.
  if (known !== undefined && existsSync(known)) return () => undefined;
  const folder = mkdtempSync(join(tmpdir(), "holdfast-templates-"));
  const migrate = (url: string) =>
    execFileSync(process.execPath, [
      "--input-type=module",
      "-e",
      `import { openStorage } from "holdfast"; await (await openStorage({ url: ${JSON.stringify(url)} })).close();`,
    ]);
  migrate(`file:${join(folder, "file.db")}`);
  await using server = await startServer();
  migrate(server.url);
  await server.kill();
  cpSync(server.data, join(folder, "server"), { recursive: true });
  process.env[VARIABLE] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
