// Builds `dist`: JavaScript and declarations in a few files, which load faster and pack smaller than many.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";
import { rolldown } from "rolldown";
import { minifySync } from "rolldown/utils";
import { dts } from "rolldown-plugin-dts";
import { embedMigrations } from "./embed-migrations.mjs";
import { readingProgram } from "./reading-program.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
/** The declarations of all modules, from which `npm run docs:api` reads where each is declared. */
const DECLARATIONS = "declarations";
const { exports, bin } = JSON.parse(readFileSync("package.json", "utf8"));
const doors = [...Object.values(exports), ...Object.values(bin)]
  .map((target) => target.default ?? target)
  .filter((path) => path.endsWith(".js"))
  .map((path) => path.replace("dist/", "src/").replace(/\.js$/, ".ts"));
// The commands load after the arguments are read, and other entries as they are asked for.
const others = ["src/cli/program.ts", "src/package-folder.ts"];

/**
 * The chunks of the modules that entries share. Each file takes Node time to load, and the bundler alone would write one for
 * each set of entries. The modules of these entries come first, so that they never load a large chunk.
 */
const LAYERS = {
  shared: ["files/lock/index", "otel/index", "areas/stories/testing/index", "cli/program"],
  client: ["client/index"],
  schema: ["schema/index"],
  migrate: ["migrate/index"],
  storage: ["index"],
};

/** The first layer that reaches a module which more than one of its entries, or another layer, needs. */
function chunkOf(id, context) {
  layers ??= Object.entries(LAYERS).map(([name, entries]) => ({
    name,
    reached: entries.map((entry) => reach(resolve(`src/${entry}.ts`), context)),
  }));
  const found = layers.filter(({ reached }) => reached.some((modules) => modules.has(id)));
  return found.length > 1 || found[0]?.reached.length === 1 ? found[0].name : null;
}
let layers;

/** The modules that an entry imports, directly or through others. */
function reach(entry, context) {
  const modules = new Set([entry]);
  for (const module of modules) for (const id of context.getModuleInfo(module)?.importedIds ?? []) modules.add(id);
  modules.delete(entry);
  return modules;
}

/** Lowers `using`, for which the bundler would import a package. */
const using = {
  name: "using",
  transform: {
    filter: { code: "await using" },
    handler: (code) => transformSync(code, { loader: "ts", target: "node20" }).code,
  },
};

/** Replaces the module that bundles a program by one that contains it. */
const embedded = {
  name: "embedded",
  load: {
    filter: { id: /reading-program-text\.ts$/ },
    handler: async () => `export const READING_PROGRAM = "${await readingProgram()}";`,
  },
};

embedMigrations();
rmSync("dist", { recursive: true, force: true });
const program = await rolldown({
  input: Object.fromEntries([...doors, ...others].map((path) => [path.replace(/^(?:\.\/)?src\/|\.ts$/g, ""), path])),
  external: /^(?!\.|\/|[A-Z]:|src\/)/,
  platform: "node",
  preserveEntrySignatures: "allow-extension",
  transform: { target: "node20" },
  plugins: [embedded, using],
});
await program.write({
  dir: "dist",
  entryFileNames: "[name].js",
  chunkFileNames: "[name]-[hash].js",
  codeSplitting: { includeDependenciesRecursively: false, groups: [{ name: chunkOf, debugName: "layers" }] },
});
// Readable stacks need the names of functions and classes. esbuild can keep them only by its option keepNames, which wraps
// every function, closures of hot paths included; rolldown leaves them alone and shortens all other names.
const names = { function: true, class: true };
const minified = {
  module: true,
  compress: { target: "node20", keepNames: names },
  mangle: { toplevel: false, keepNames: names },
};
for (const name of readdirSync("dist", { recursive: true })) {
  if (!name.endsWith(".js")) continue;
  const path = join("dist", name);
  let text = readFileSync(path, "utf8");
  // Imports for the effects of a chunk, of which none has any: package.json says so.
  text = text.replaceAll(/^import "\.[^"]*";\n/gm, "");
  const { code, errors } = minifySync(name, text, minified);
  if (errors.length > 0) throw new Error(`${name}: ${errors[0].message}`);
  // Short lines: Node prints the line of an uncaught error.
  text = transformSync(code, { target: "node20", minifyWhitespace: true, lineLimit: 500 }).code;
  // It writes `X=class X2` for a class that refers to itself, and `error.constructor.name` would be `X2`.
  for (const [, own, inner] of text.matchAll(/\b(\w+)=class (\1\d)\b/g)) {
    text = text.replaceAll(new RegExp(`\\b${inner}\\b`, "g"), own);
  }
  writeFileSync(path, text);
}
rmSync(DECLARATIONS, { recursive: true, force: true });
execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], { stdio: "inherit" });
// The declarations of modules are half as large again as what the entries name of them.
const entries = Object.values(exports).flatMap(({ types = [] }) => types);
const bundle = await rolldown({
  input: Object.fromEntries(entries.map((path) => [path.slice(7, -5), path.replace("./dist", `./${DECLARATIONS}`)])),
  plugins: [dts({ dtsInput: true, emitDtsOnly: true })],
  // Packages: neither relative nor absolute paths.
  external: /^(?!\.|\/|[A-Z]:)/,
});
await bundle.write({ dir: "dist", entryFileNames: "[name].d.ts", chunkFileNames: "types/[name].d.ts" });
// Nothing imports it.
rmSync("dist/types/rolldown-runtime.d.ts");
