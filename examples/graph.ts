/**
 * Reads the import graph of this repository, and prints the dependents of a file and a path from one file to another.
 *
 *     npx tsx examples/graph.ts [file] [from] [to]
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { openStorage } from "holdfast";
import { scanImports } from "./imports.js";

const [file = "src/client/sql/parse.ts", from = "src/index.ts", to = "src/client/local/native.ts"] =
  process.argv.slice(2);
const root = process.cwd();
const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => join(root, "src", name));

await using storage = await openStorage(":memory:");
const { graph } = storage;
const { nodes, edges } = scanImports(root, files);
await graph.addNodes(nodes);
await graph.addEdges(edges);
console.log(`${nodes.length} files, ${edges.length} imports`);

const dependents = await graph.kHop(file, Number.POSITIVE_INFINITY, { direction: "in" });
const direct = await graph.neighbors(file, { direction: "in" });
console.log(`${dependents.length} files depend on ${file}, ${direct.length} of them directly: ${direct.join(", ")}`);

const path = await graph.shortestPath(from, to);
console.log(path === undefined ? `${from} does not import ${to}, even indirectly` : path.ids.join(" -> "));

const large = await graph.match([
  { as: "user", where: { lines: { gt: 300 } } },
  { type: "imports" },
  { as: "used", where: { lines: { gt: 300 } } },
]);
for (const { user, used } of large) console.log(`large imports large: ${user.name} -> ${used.name}`);

const cycles = await graph.cycles({ limit: 5 });
console.log(
  cycles.length === 0 ? "no circular imports" : `circular: ${cycles.map((ids) => ids.join(" -> ")).join("; ")}`,
);
const [first] = await graph.pageRank({ limit: 1 });
console.log(`the file with the highest rank: ${first?.id}`);
