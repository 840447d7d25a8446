// Bundles the program of the processes that check and salvage files, as the text of one function body.
import { fileURLToPath } from "node:url";
import { brotliCompressSync } from "node:zlib";
import { build } from "esbuild";

const ENTRY = fileURLToPath(new URL("../src/maintenance/reading-program.ts", import.meta.url));
/** These processes open no repository, so modules that only repositories need are left out: a third of the program. */
const REPOSITORIES = /src.areas.(?:\w+.(?:repository|service|line|libsql.backend))\.ts$/;

const leftOut = {
  name: "left-out",
  setup({ onLoad }) {
    // The parent sends the migrations, which are an eighth of the program.
    onLoad({ filter: /holdfast-migrations\.ts$/ }, () => ({
      contents: "export const { migrations: HOLDFAST_MIGRATIONS, objects: HOLDFAST_OBJECTS } = order;",
    }));
    onLoad({ filter: REPOSITORIES }, () => ({ contents: "module.exports = {};", loader: "js" }));
  },
};

let text;

/** The program with all that it imports but @libsql/client, compressed, in base64. */
export function readingProgram() {
  text ??= bundle().then((program) => brotliCompressSync(program).toString("base64"));
  return text;
}

async function bundle() {
  const { outputFiles } = await build({
    entryPoints: [ENTRY],
    write: false,
    bundle: true,
    minify: true,
    format: "cjs",
    platform: "node",
    target: "node20",
    // It would name the modules that are left out.
    logLevel: "error",
    external: ["@libsql/*", "libsql"],
    define: { "import.meta.url": "base" },
    plugins: [leftOut],
  });
  return outputFiles[0].contents;
}
