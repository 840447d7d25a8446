import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { play } from "../support/runtimes.js";

const scenarios = readdirSync(new URL("./scenarios/", import.meta.url)).sort();

/** Both runtimes run the built package, each with a new file. */
test.each(scenarios)("%s gives the same results under Node and Bun", async (scenario) => {
  const [node, bun] = await Promise.all([play("node", scenario), play("bun", scenario)]);
  expect(node.length).toBeGreaterThan(5);
  for (const [index, step] of node.entries()) expect(bun[index]).toEqual(step);
  expect(bun).toHaveLength(node.length);
});
