/**
 * Writes the next migration of Holdfast's own schema, as `holdfast generate` does for other schemas.
 *
 *     npm run db:generate -- --name add_tags            # from the schema
 *     npm run db:generate -- --name tags_index --custom # an empty one, for SQL of your own
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { runProgram } from "../src/cli/program.js";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
process.exitCode = await runProgram(["generate", "--folder", "drizzle", ...process.argv.slice(2)]);
execFileSync(process.execPath, ["scripts/embed-migrations.mjs"], { stdio: "inherit" });
