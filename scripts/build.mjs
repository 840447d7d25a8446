// Builds `dist`: the JavaScript in a few files, which load faster than many, and the type declarations of tsc.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transformSync } from "esbuild";
import { embedMigrations } from "./embed-migrations.mjs";
import { readingProgram } from "./reading-program.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
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
// esbuild writes `X=class _X` for a class that refers to itself, and `error.constructor.name` would be `_X`. Its
// option keepNames would wrap every function, closures of hot paths included.
for (const name of readdirSync("dist", { recursive: true })) {
  if (!name.endsWith(".js")) continue;
  const path = join("dist", name);
  let text = readFileSync(path, "utf8");
  // Imports for the effects of a chunk, of which none has any: package.json says so.
  text = text.replaceAll(/^import "\.[^"]*";\n/gm, "");
  // Names stay, so that a stack says where it is from, and lines stay short.
  const options = { format: "esm", target: "node20", minifyWhitespace: true, minifySyntax: true, lineLimit: 160 };
  text = transformSync(text, options).code;
  for (const [, own] of text.matchAll(/\b(\w+)=class _\1\b/g)) {
    text = text.replaceAll(new RegExp(`\\b_${own}\\b`, "g"), own);
  }
  writeFileSync(path, text);
}
execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], { stdio: "inherit" });

// Declarations of modules that no entry names would be a third of the package.
const declarations = new Set();
function keep(file) {
  if (declarations.has(file)) return;
  declarations.add(file);
  for (const [, path] of readFileSync(file, "utf8").matchAll(/(?:\bfrom |\bimport\(|^import )"(\.[^"]+)"/gm)) {
    keep(join(dirname(file), path.replace(/\.js$/, ".d.ts")));
  }
}
for (const { types } of Object.values(exports)) if (types !== undefined) keep(join(types));
for (const name of readdirSync("dist", { recursive: true })) {
  const path = join("dist", name);
  if (name.endsWith(".d.ts") && !declarations.has(path)) rmSync(path);
}
