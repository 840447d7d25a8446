/**
 * Stores this repository: its Markdown, its source files and its git log. Then it searches them, and prints
 * dependencies from the import graph.
 *
 *     npm start
 *     npm start -- "why is the write lock taken with exec"
 *     npm start -- --conversation talk.json ["a question"]
 *
 * The last command also imports a conversation: an export of `conversations.export`, or a list of `{ role, content }`.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { basename, extname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { type MemoryInput, openStorage, type Project, type SearchResult } from "holdfast";
import { scanImports } from "./imports.js";

const ROOT = process.cwd();
// Skips this program, because its questions would be the best matches for themselves.
const SKIPPED = new Set(["node_modules", "dist", ".git", ".holdfast", "remember.ts"]);
const KINDS: Record<string, string> = { ".md": "context", ".ts": "file", ".mjs": "file", ".sql": "file" };
const QUESTIONS = [
  "how does group commit work",
  "src/client/local/writer-queue.ts",
  "what happens when another process holds the write lock",
  "checkpoint",
];

/** Splits a text at blank lines into pieces of about 1,500 characters, so that a hit is a passage and not a whole file. */
function passages(text: string): string[] {
  const pieces: string[] = [];
  for (const paragraph of text.split(/\n\s*\n/)) {
    const last = pieces.at(-1);
    if (last !== undefined && last.length + paragraph.length < 1500)
      pieces[pieces.length - 1] = `${last}\n\n${paragraph}`;
    else if (paragraph.trim() !== "") pieces.push(paragraph.slice(0, 50_000));
  }
  return pieces;
}

function* files(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (SKIPPED.has(entry.name)) continue;
    if (entry.isDirectory()) yield* files(path);
    else if (entry.isFile() && KINDS[extname(entry.name)] !== undefined) yield path;
  }
}

function* memoriesOfFiles(): Generator<MemoryInput> {
  for (const path of files(ROOT)) {
    const name = relative(ROOT, path);
    const type = KINDS[extname(path)]!;
    const pieces = passages(readFileSync(path, "utf8").toWellFormed().replaceAll("\0", ""));
    for (const [part, piece] of pieces.entries()) {
      yield {
        id: `${name}#${part}`,
        type,
        source: "repository",
        content: `${name}\n${piece}`,
        metadata: { path: name, part },
      };
    }
  }
}

/** Yields nothing if there is no git or no history. */
function* memoriesOfCommits(): Generator<MemoryInput> {
  let log = "";
  try {
    const command = ["log", "--max-count=5000", "--format=%H%x1f%ct%x1f%s%n%n%b%x1e"];
    log = execFileSync("git", command, {
      cwd: ROOT,
      encoding: "utf8",
      maxBuffer: 1 << 28,
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    return;
  }
  for (const record of log.split("\x1e")) {
    const [hash, seconds, message] = record.trim().split("\x1f");
    if (hash === undefined || message === undefined || message.trim() === "") continue;
    const createdAt = Number(seconds) * 1000;
    yield { id: hash, type: "decision", source: "git", content: message.trim().slice(0, 50_000), createdAt };
  }
}

function show(result: SearchResult): string {
  const { memory, match, snippet } = result;
  const line = snippet.replaceAll(/\s+/g, " ").replaceAll("<mark>", "\x1b[1m").replaceAll("</mark>", "\x1b[0m");
  return `  ${match.padEnd(9)} ${memory.source === "git" ? memory.id.slice(0, 10) : memory.id}\n            ${line}`;
}

/** Replaces the import graph of the previous run in one transaction, then queries it. */
async function showImports(project: Project): Promise<void> {
  const { nodes, edges } = scanImports(
    ROOT,
    [...files(ROOT)].filter((path) => [".ts", ".mjs"].includes(extname(path))),
  );
  await project.transaction(async ({ graph }) => {
    for (let known = await graph.findNodes(); known.items.length > 0; known = await graph.findNodes()) {
      for (const { id } of known.items) await graph.deleteNode(id);
    }
    await graph.addNodes(nodes);
    await graph.addEdges(edges);
  });
  const { graph } = project;
  console.log(`\nThe import graph has ${nodes.length} files and ${edges.length} imports.`);
  const file = "src/client/local/writer-queue.ts";
  if ((await graph.getNode(file)) === undefined) return;
  const dependents = await graph.kHop(file, Number.POSITIVE_INFINITY, { direction: "in" });
  console.log(
    `  ${dependents.length} files depend on ${file}, the nearest of them ${dependents.slice(0, 3).join(", ")}`,
  );
  const path = await graph.shortestPath("src/index.ts", file);
  if (path !== undefined) console.log(`  ${path.ids.join(" -> ")}`);
}

/** A list of messages has no ids. Each message's position becomes its client id, so a second import changes nothing. */
async function importConversation({ conversations }: Project, path: string): Promise<string> {
  const document = JSON.parse(readFileSync(path, "utf8"));
  if (!Array.isArray(document)) return (await conversations.import(document)).id;
  const id = `file:${path}`;
  if ((await conversations.get(id)) === undefined) await conversations.insert({ id, title: basename(path) });
  await conversations.append(
    id,
    document.map((message, place) => ({ clientId: `place-${place}`, ...message })),
  );
  return id;
}

const { values, positionals } = parseArgs({
  options: { conversation: { type: "string" } },
  allowPositionals: true,
});
const question = positionals.join(" ");
await using storage = await openStorage({ dataDir: process.env.HOLDFAST_DATA_DIR ?? join(ROOT, ".holdfast") });
const repository = storage.project(ROOT.slice(-200));

const inputs = [...memoriesOfFiles(), ...memoriesOfCommits()];
const known = new Map(
  (await repository.memories.getMany(inputs.map(({ id }) => id!))).map((memory) => [memory.id, memory]),
);
const fresh = inputs.filter(({ id }) => !known.has(id!));
const changed = inputs.filter(({ id, content }) => known.has(id!) && known.get(id!)!.content !== content);
const start = performance.now();
await repository.memories.insertMany(fresh);
for (const input of changed) await repository.memories.put(input.id!, input);
const elapsed = performance.now() - start;
const stored = fresh.length + changed.length;

const stats = await repository.memories.stats();
const rate = stored === 0 ? "" : `, ${Math.round((stored / elapsed) * 1000).toLocaleString("en")} a second`;
console.log(`Stored ${stored} memories in ${Math.round(elapsed)} ms${rate}; ${known.size} were there already.`);
console.log(
  `The project holds ${stats.count} (${stats.byType.map(({ type, count }) => `${count} ${type}`).join(", ")}).`,
);

if (values.conversation !== undefined) {
  const id = await importConversation(repository, values.conversation);
  const conversation = await repository.conversations.require(id);
  console.log(`The conversation "${conversation.title ?? id}" holds ${conversation.messageCount} messages.`);
  for (const { message, match, snippet } of await repository.conversations.search(question, {
    conversationId: id,
    limit: 3,
  })) {
    console.log(
      `  ${match.padEnd(9)} ${message.seq} ${message.role}: ${snippet.replaceAll(/<\/?mark>|\s+/g, " ").trim()}`,
    );
  }
}

for (const text of question === "" ? QUESTIONS : [question]) {
  const started = performance.now();
  const results = await repository.memories.search(text, { limit: 3 });
  console.log(`\n${text}  (${(performance.now() - started).toFixed(1)} ms)`);
  for (const result of results) console.log(show(result));
  if (results.length === 0) console.log("  nothing");
}
await showImports(repository);
