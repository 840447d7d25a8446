import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { GraphEdgeInput, GraphNodeInput } from "holdfast";

/** `import … from "x"`, `export … from "x"` and `import("x")`. Only specifiers that start with a dot are files here. */
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*["'](\.{1,2}\/[^"']+)["']/g;

/** Returns the files of `paths` as nodes, and the imports between them as edges. */
export function scanImports(
  root: string,
  paths: readonly string[],
): { nodes: GraphNodeInput[]; edges: GraphEdgeInput[] } {
  const nodes: GraphNodeInput[] = [];
  const edges: GraphEdgeInput[] = [];
  for (const path of paths) {
    const id = relative(root, path);
    const text = readFileSync(path, "utf8");
    nodes.push({ id, kind: "file", name: id, data: { lines: text.split("\n").length } });
    const targets = [...text.matchAll(IMPORT)].map(([, specifier]) => resolveImport(dirname(path), specifier!));
    for (const target of new Set(targets)) {
      if (target !== undefined && paths.includes(target)) {
        edges.push({ from: id, to: relative(root, target), type: "imports" });
      }
    }
  }
  return { nodes, edges };
}

/** TypeScript imports `x.js` when the file is `x.ts`. */
function resolveImport(folder: string, specifier: string): string | undefined {
  const path = join(folder, specifier);
  return [path, path.replace(/\.js$/, ".ts"), `${path}.ts`].find((candidate) => existsSync(candidate));
}

// When you run this file, it prints the imports between the examples.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = dirname(fileURLToPath(import.meta.url));
  const { edges } = scanImports(
    folder,
    readdirSync(folder)
      .map((file) => join(folder, file))
      .filter((path) => path.endsWith(".ts")),
  );
  for (const { from, to } of edges) console.log(`${from} imports ${to}`);
}
