/**
 * Writes missing down files, of all migrations or of the named ones.
 *
 *     npm run db:down [-- 0003_add_tags …]
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import config from "../drizzle.config.js";
import { findKit } from "../src/migrate/generate/kit.js";
import { writeDown } from "../src/migrate/generate/write-down.js";
import { readJournal } from "../src/migrate/journal.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const kit = findKit(root);
const folder = resolve(root, config.out!);
const named = process.argv.slice(2);
const tags = named.length > 0 ? named : readJournal(folder).map(({ tag }) => tag);
for (const tag of tags) {
  const { path, state, notes } = await writeDown(folder, tag, kit);
  if (state !== "kept" || named.length > 0) console.log(`${state === "unfinished" ? "TO BE WRITTEN" : state}: ${path}`);
  for (const note of notes) console.log(`  ${note}`);
}
