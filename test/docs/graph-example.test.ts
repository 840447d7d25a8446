import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

test("the graph example prints the dependents of a file of this repository and finds a path", async () => {
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ["--import", import.meta.resolve("tsx"), "examples/graph.ts", "src/areas/graph/algorithms/heap.ts"],
    { cwd: root },
  );
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^[1-9]\d* files, [1-9]\d* imports$/m);
  expect(stdout).toMatch(
    /files depend on src\/areas\/graph\/algorithms\/heap\.ts, \d of them directly: .*src\/areas\/graph\/algorithms\/shortest-path\.ts/,
  );
  expect(stdout).toMatch(/^src\/index\.ts -> .* -> src\/client\/local\/native\.ts$/m);
});
