import { execFile } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { findBun } from "../support/runtimes.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);

const EXPECTED = {
  found: ["one"],
  ok: true,
  backup: true,
  inserted: 1,
  sets: [0, 0],
  saved: 1,
  holder: "forgottenCheckout",
};
/** What docs/guides/bundling.md says stays external, and nothing else. */
const EXTERNAL = ["libsql", "@libsql/*"];

/** Two folders: one with the application and its packages, and one in which the bundle runs, with the external ones. */
function folders() {
  const top = mkdtempSync(join(tmpdir(), "holdfast-bundles-"));
  const source = join(top, "source");
  const app = join(top, "app");
  for (const folder of [source, app]) mkdirSync(join(folder, "node_modules"), { recursive: true });
  copyFileSync(join(root, "test/support/programs/bundled.js"), join(source, "main.js"));
  symlinkSync(root, join(source, "node_modules/holdfast"));
  for (const name of ["libsql", "@libsql"]) {
    symlinkSync(join(root, "node_modules", name), join(app, "node_modules", name));
  }
  return { source, app, [Symbol.dispose]: () => rmSync(top, { recursive: true }) };
}

const answer = (stdout: string) => JSON.parse(stdout.trim().split("\n").at(-1)!);

for (const format of ["esm", "cjs"] as const) {
  test(`an application bundled by esbuild to ${format} runs with @libsql/client alone`, async () => {
    using at = folders();
    const outfile = join(at.app, format === "esm" ? "app.mjs" : "app.cjs");
    const { warnings } = await build({
      entryPoints: [join(at.source, "main.js")],
      outfile,
      bundle: true,
      platform: "node",
      format,
      external: EXTERNAL,
      logLevel: "silent",
    });
    expect(warnings.filter(({ id }) => id !== "empty-import-meta")).toEqual([]);
    expect(readdirSync(at.app).sort()).toEqual([outfile.slice(at.app.length + 1), "node_modules"].sort());
    // Started from elsewhere, as an editor starts its extensions.
    const { stdout } = await run(process.execPath, [outfile], { cwd: tmpdir() });
    expect(answer(stdout)).toEqual(EXPECTED);
  });
}

test("an application that Bun has compiled runs next to @libsql/client", async () => {
  using at = folders();
  const program = join(at.app, "app");
  const page = readFileSync(join(root, "docs/guides/bundling.md"), "utf8");
  writeFileSync(join(at.source, "compile.js"), /^\/\/ bun compile\.js main\.js app\n[\s\S]*?(?=^```)/m.exec(page)![0]);
  await run(findBun(), ["compile.js", "main.js", program], { cwd: at.source });
  const { stdout } = await run(program, [], { cwd: tmpdir() });
  expect(answer(stdout)).toEqual(EXPECTED);
});
