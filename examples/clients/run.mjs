// Runs every program of docs/guides/bring-your-own-client.md against the built package, each in a new folder.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = join(here, "../..");
const page = readFileSync(join(root, "docs/guides/bring-your-own-client.md"), "utf8");

// A link, because npm would install the dependencies of the package again.
rmSync(join(here, "node_modules/holdfast"), { recursive: true, force: true });
symlinkSync(root, join(here, "node_modules/holdfast"), "junction");

const programs = [...page.matchAll(/^## (.+)\n[\s\S]*?^```ts fragment\n([\s\S]*?)^```$/gm)];
if (programs.length < 6) throw new Error(`Expected at least 6 programs in the page, found ${programs.length}`);
for (const [, title, code] of programs) {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-client-"));
  const file = join(here, "node_modules", `.program-${process.pid}.mjs`);
  try {
    writeFileSync(file, transformSync(code, { loader: "ts", format: "esm", target: "node20" }).code);
    const output = execFileSync(process.execPath, [file], { cwd: folder, encoding: "utf8", timeout: 120_000 });
    if (!output.includes("reviewers") && !output.includes("ada@example.com")) {
      throw new Error(`The program of "${title}" did not print its row: ${output}`);
    }
    console.log(`${title}: ok`);
  } finally {
    rmSync(file, { force: true });
    rmSync(folder, { recursive: true, force: true });
  }
}
