// Fails if a folder of src imports from a folder that is not below it, types included. The entries of the package may.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path/posix";
import { fileURLToPath } from "node:url";

/** From top to bottom. Folders of one line do not import each other. */
const LAYERS = [
  ["cli", "memvid", "otel"],
  ["storage"],
  ["maintenance"],
  ["areas"],
  ["search", "schema", "migrate"],
  ["client"],
  ["files"],
  ["shared"],
];

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { exports } = JSON.parse(readFileSync("package.json", "utf8"));
const entries = Object.values(exports).map(({ default: built }) =>
  built?.replace(/^.\/dist/, "src").replace(/js$/, "ts"),
);
const layerOf = (folder) => LAYERS.findIndex((folders) => folders.includes(folder));

const wrong = [];
for (const name of readdirSync("src", { recursive: true })) {
  const file = join("src", name.replaceAll("\\", "/"));
  const [, folder, inside] = file.split("/");
  // The files of src itself are the public API, which imports from everywhere, and the place of the package.
  if (inside === undefined || !file.endsWith(".ts") || entries.includes(file)) continue;
  if (layerOf(folder) < 0) wrong.push(`${file}: add the folder ${folder} to scripts/check-imports.mjs`);
  for (const [, path] of readFileSync(file, "utf8").matchAll(/(?:\bfrom |\bimport\(|^import )"(\.[^"]+)"/gm)) {
    const [, other, isInside] = join(dirname(file), path).split("/");
    if (isInside === undefined || other === folder || layerOf(other) > layerOf(folder)) continue;
    wrong.push(`${file} imports from src/${other}, which is not below src/${folder}`);
  }
}
if (wrong.length > 0) {
  console.error(wrong.join("\n"));
  process.exitCode = 1;
}
