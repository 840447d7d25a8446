import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { PACKAGE_FOLDER, RUNS_FROM_SOURCE } from "../../package-folder.js";
import { environmentKey } from "../../shared/environment.js";
import { StorageError } from "../../shared/errors.js";
import { parsePort } from "../arguments.js";
import type { CliCommand } from "../command.js";
import { fileOf, requireFile, urlOf } from "../target.js";

export const studioCommand: CliCommand = {
  usage: "studio",
  summary: "show the rows in Drizzle Studio, until Ctrl-C",
  example: "studio --port 4983 --url ./data/app.db",
  options(command) {
    command.option("--port <n>", "the port of its API, on 127.0.0.1", parsePort, 4983);
  },
  async run(context, { options }) {
    requireFile(context);
    const path = fileOf(context);
    if (path === undefined) {
      throw new StorageError("NOT_SUPPORTED", `${urlOf(context)} is not a file. Use the console of its server`);
    }
    if (environmentKey() !== undefined) {
      throw new StorageError("NOT_SUPPORTED", "Drizzle Studio opens no encrypted file. Look at a decrypted copy");
    }
    const program = findDrizzleKit();
    const folder = mkdtempSync(join(tmpdir(), "holdfast-studio-"));
    try {
      const config = join(folder, "drizzle.config.json");
      const schema = new URL(RUNS_FROM_SOURCE ? "src/schema/index.ts" : "dist/schema/index.js", PACKAGE_FOLDER);
      const settings = { dialect: "sqlite", schema: fileURLToPath(schema), dbCredentials: { url: `file:${path}` } };
      writeFileSync(config, JSON.stringify(settings));
      context.output.note(
        "While it runs, every page in a browser of this machine can read and write this database through its API.",
      );
      return await runStudio(program, ["studio", "--config", config, "--port", String(options.port)]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

/** Finds drizzle-kit in the project in which the command runs, or next to this package. */
function findDrizzleKit(): string {
  for (const from of [join(process.cwd(), "package.json"), import.meta.url]) {
    try {
      return join(dirname(createRequire(from).resolve("drizzle-kit")), "bin.cjs");
    } catch {
      // Not installed there: perhaps in the other place.
    }
  }
  throw new StorageError(
    "NOT_FOUND",
    "Drizzle Studio comes with drizzle-kit, which is not installed. Run `npm install --save-dev drizzle-kit`",
  );
}

function runStudio(program: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: "inherit" });
    // Ctrl-C reaches the child as well. This process waits for its end, so that it does not outlive the command.
    const pass = (signal: NodeJS.Signals) => child.kill(signal);
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, pass);
    child.once("error", reject);
    child.once("close", (code, signal) => {
      for (const name of ["SIGINT", "SIGTERM"] as const) process.off(name, pass);
      resolve(signal !== null || code === 0 || code === 130 ? 0 : 1);
    });
  });
}
