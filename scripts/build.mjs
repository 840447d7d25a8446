// Builds `dist`: JavaScript and declarations in a few files, which load faster and pack smaller than many.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transformSync } from "esbuild";
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

/** Replaces the module that bundles a program by one that contains it. */
const embedded = {
  name: "embedded",
  setup: ({ onLoad }) =>
    onLoad({ filter: /reading-program-text\.ts$/ }, async () => ({
      contents: `export const READING_PROGRAM = "${await readingProgram()}";`,
    })),
};

embedMigrations();
rmSync("dist", { recursive: true, force: true });
await build({
  entryPoints: [...doors, ...others],
  outdir: "dist",
  outbase: "src",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  packages: "external",
  plugins: [embedded],
  logLevel: "warning",
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
  // esbuild writes `X=class _X` for a class that refers to itself, and `error.constructor.name` would be `_X`.
  for (const [, own] of text.matchAll(/\b(\w+)=class _\1\b/g)) {
    text = text.replaceAll(new RegExp(`\\b_${own}\\b`, "g"), own);
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
