/**
 * Runs drizzle-kit generate, and adds what it leaves out: the down file next to the migration, and in the migration the
 * triggers that a table rebuild loses.
 *
 *     npm run db:generate -- --name add_tags            # from the schema
 *     npm run db:generate -- --name tags_index --custom # an empty one, for SQL of your own
 */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import config from "../drizzle.config.js";
import { readJournal } from "../src/migrate/journal.js";
import { completeForward } from "./migrations/complete.js";
import { writeDown } from "./migrations/write-down.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = resolve(root, config.out!);
const known = new Set(readJournal(folder).map(({ tag }) => tag));
const kit = join(dirname(createRequire(import.meta.url).resolve("drizzle-kit")), "bin.cjs");
const { status } = spawnSync(process.execPath, [kit, "generate", ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
if (status !== 0) process.exit(status ?? 1);
for (const { tag } of readJournal(folder)) {
  if (known.has(tag)) continue;
  const added = await completeForward(folder, tag);
  if (added.length > 0)
    console.log(`${tag}.sql: added ${added.length} statements that keep the objects its rebuild would lose`);
  const { path, state, notes } = await writeDown(folder, tag);
  console.log(`${state === "unfinished" ? "TO BE WRITTEN" : state}: ${path}`);
  for (const note of notes) console.log(`  ${note}`);
}
