// Writes llms.txt: what the package is, its entries, an example, and a line about each page of the documentation.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path/posix";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

const ENTRIES: Readonly<Record<string, string>> = {
  holdfast: "openStorage, Storage, the repositories, restore, salvage, checkFile, StorageError",
  "holdfast/client": "createClient, a replacement for @libsql/client with a pool for local files",
  "holdfast/conversations": "initDb, insertConversation, insertMessage, … as functions",
  "holdfast/lock": "FileLock, acquireLock, releaseLock",
  "holdfast/memvid": "the calls of @memvid/sdk, and createStorage",
  "holdfast/otel": "OpenTelemetry spans and metrics",
  "holdfast/migrate": "migrate, revert, status, verify, adopt, baseline, accept",
  "holdfast/schema": "the Drizzle tables",
  "holdfast/stories": "openStories, StoryService, Autosave, defineBackend, copyStories, StoryMigrations",
  "holdfast/stories/testing": "storyBackendCases, the tests of a backend",
};

const EXAMPLE = `import { openStorage } from "holdfast";

const storage = await openStorage("./data/app.db"); // creates the file, its folder and its schema
const { memories, conversations, graph } = storage.project("my-agent");
await memories.insert({ content: "Migrations run under the write lock", type: "decision" });
for (const { memory, match, snippet } of await memories.search("how do migrations lock?", { limit: 5 })) {
  console.log(match, memory.id, snippet);
}
const talk = await conversations.insert({ title: "The cluster" });
await conversations.append(talk.id, { role: "user", content: "Which region?", clientId: "run-1" });
await storage.transaction(async (tx) => {
  await tx.project("my-agent").memories.insert({ content: "stored with the next one, or not at all" });
  await tx.project("my-agent").graph.addNode({ id: "main.ts", kind: "file", name: "src/main.ts" });
});
console.log((await graph.bfs("main.ts")).length, (await storage.health()).ok);
await storage.close();
`;

/** The text that llms.txt should have. */
export function llmsText(): { readonly path: string; readonly text: string } {
  const { description, exports } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8"));
  const entries = Object.entries(exports as Record<string, unknown>)
    .filter(([, target]) => typeof target !== "string")
    .map(([entry]) => `- \`${nameOf(entry)}\`: ${aboutOf(nameOf(entry))}`);
  const pages = ["README.md", ...pagesIn("docs"), "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
  const sections = [
    `# Holdfast\n\n> ${description}`,
    "Node 20.19 or later, or Bun. `npm install holdfast @libsql/client drizzle-orm`. All calls return promises. Errors are `StorageError`s with a `code`; a wrong argument is a TypeError or a RangeError. Inside a transaction, use `tx`, not `storage`.",
    `## Entries\n\n${entries.join("\n")}`,
    `## Example\n\n\`\`\`ts\n${EXAMPLE}\`\`\``,
    `## Documentation\n\n${pages.map(pageLine).join("\n")}`,
  ];
  return { path: `${ROOT}llms.txt`, text: `${sections.join("\n\n")}\n` };
}

function nameOf(entry: string): string {
  return `holdfast${entry.slice(1)}`;
}

function aboutOf(name: string): string {
  const about = ENTRIES[name];
  if (about === undefined) throw new Error(`Describe the entry ${name} in scripts/llms.ts`);
  return about;
}

function pagesIn(folder: string): string[] {
  return readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name.replaceAll("\\", "/")))
    .filter((path) => path.endsWith(".md"))
    .sort();
}

/** A link to a page with its first sentence, if it begins with one. */
function pageLine(path: string): string {
  const [heading = "", ...rest] = readFileSync(`${ROOT}${path}`, "utf8")
    .trim()
    .split(/\n{2,}/);
  const title = plain(heading.replace(/^# /, ""));
  const paragraph = rest.find((part) => /^[*`[\w]/.test(part)) ?? "";
  const sentence = /^.*?\.(?=\s|$)/.exec(plain(paragraph))?.[0] ?? "";
  return `- [${title}](${path})${sentence === "" ? "" : `: ${sentence}`}`;
}

/** The text of Markdown without links and emphasis. */
function plain(text: string): string {
  return text
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll("**", "")
    .replace(/\s+/g, " ");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { path, text } = llmsText();
  writeFileSync(path, text);
}
