import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { cliProgram } from "../support/cli.js";
import { installKit } from "../support/drizzle-kit.js";
import { tempDatabase } from "../support/temp.js";

const page = readFileSync(fileURLToPath(new URL("../../docs/guides/own-migrations.md", import.meta.url)), "utf8");

test("the commands of the guide to migrations run one after another", { timeout: 240_000 }, async () => {
  await using temp = await tempDatabase();
  installKit(temp.dir);
  // `npx` runs what is installed, which is here the built package.
  const bin = join(temp.dir, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "holdfast"), `#!/bin/sh\nexec '${process.execPath}' '${cliProgram}' "$@"\n`);
  writeFileSync(join(bin, "npx"), '#!/bin/sh\nexec "$@"\n');
  for (const name of ["holdfast", "npx"]) chmodSync(join(bin, name), 0o755);
  const author = { GIT_AUTHOR_NAME: "You", GIT_AUTHOR_EMAIL: "you@example.com" };
  const committer = {
    GIT_COMMITTER_NAME: "You",
    GIT_COMMITTER_EMAIL: "you@example.com",
    GIT_CONFIG_GLOBAL: "/dev/null",
  };
  const env = {
    ...process.env,
    ...author,
    ...committer,
    PATH: `${bin}:${join(temp.dir, "node_modules/.bin")}:${process.env.PATH}`,
  };
  const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
  expect(blocks.length).toBeGreaterThan(5);
  let output = "";
  for (const block of blocks) {
    const run = promisify(execFile)("bash", ["-euo", "pipefail", "-c", block], { cwd: temp.dir, env });
    const { stdout } = await run.catch((error) => {
      throw new Error(`${block}\n${error.stdout}\n${error.stderr}`);
    });
    output += stdout;
  }
  expect(output).toContain("reverted 0001_due");
  expect(output).toContain("__drizzle_migrations is now app_migrations, with 3 applied");
  expect(output).toMatch(/CONFLICT_MARKER/);
  expect(output).toContain("applied 0004_owner");
  expect(output).toContain("marked 0000_all");
});
