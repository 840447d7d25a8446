/**
 * Runs drizzle-kit generate, and adds what it leaves out: the down file next to the migration, and in the migration the
 * triggers that a table rebuild loses.
 *
 *     npm run db:generate -- --name add_tags            # from the schema
 *     npm run db:generate -- --name tags_index --custom # an empty one, for SQL of your own
 */
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import config from "../drizzle.config.js";
import { completeForward } from "../src/migrate/generate/complete-forward.js";
import { findKit } from "../src/migrate/generate/kit.js";
import { writeDown } from "../src/migrate/generate/write-down.js";
import { readJournal } from "../src/migrate/journal.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = resolve(root, config.out!);
const known = new Set(readJournal(folder).map(({ tag }) => tag));
const kit = findKit(root);
const { status } = spawnSync(process.execPath, [kit.program, "generate", ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
if (status !== 0) process.exit(status ?? 1);
for (const { tag } of readJournal(folder)) {
  if (known.has(tag)) continue;
  const added = await completeForward(folder, tag);
  if (added.length > 0)
    console.log(`${tag}.sql: added ${added.length} statements that keep the objects its rebuild would lose`);
  const { path, state, notes } = await writeDown(folder, tag, kit);
  console.log(`${state === "unfinished" ? "TO BE WRITTEN" : state}: ${path}`);
  for (const note of notes) console.log(`  ${note}`);
}
spawnSync(process.execPath, ["scripts/embed-migrations.mjs"], { cwd: root, stdio: "inherit" });
