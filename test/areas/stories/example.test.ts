import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { openStories } from "holdfast/stories";
import { expect, test } from "vitest";
import { tempDatabase } from "../../support/temp.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));

test("the story editor example works as described", async () => {
  await using db = await tempDatabase();
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ["--import", import.meta.resolve("tsx"), "examples/stories.ts"],
    { cwd: root, env: { ...process.env, HOLDFAST_DATA_DIR: db.dir } },
  );
  expect(stderr).toBe("");
  expect(stdout).toMatch(/created lighthouse/);
  expect(stdout).toMatch(/conflict on lighthouse with revision 3/);
  expect(stdout).toMatch(/author: 'Ada'/);
  expect(stdout).toMatch(/A bell in the fog\./);
  expect(stdout.match(/^revision \d: \d+ bytes$/gm)).toHaveLength(4);
  expect(stdout).toMatch(/moved 1: The Lighthouse, revision 5/);
  await using service = await openStories({ path: `${db.dir}/stories.db` });
  expect(await service.loadStory("lighthouse")).toMatchObject({ passages: [{ text: "Fog, and a light." }] });
});
