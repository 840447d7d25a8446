import { afterAll, describe, expect, test } from "vitest";
import { soakMinutes } from "../support/soak.js";
import { generate } from "./corpus/generate.js";
import { GENERATED_CHANGES } from "./corpus/generated-changes.js";
import { OTHER_CHANGES } from "./corpus/other-changes.js";
import { RENAMES } from "./corpus/renames.js";
import { fileTarget, MIGRATORS, STATES, serverTarget, tryChange } from "./corpus/run.js";

const CHANGES = [...GENERATED_CHANGES, ...RENAMES, ...OTHER_CHANGES];
const TARGETS = { file: fileTarget, server: serverTarget };
const WAYS = Object.keys(TARGETS).flatMap((target) =>
  MIGRATORS.flatMap((migrator) => STATES.map((state) => ({ target, migrator, state }))),
);
/** How many of the other ways each change takes in `npm test`. A soak tries all. */
const OTHERS = soakMinutes === undefined ? 1 : WAYS.length;

/** What is tried: each change with rows and Holdfast, and with some of the other ways in turn. */
const TRIED = CHANGES.flatMap((change, number) =>
  WAYS.filter(({ target, state, migrator }, index) => {
    if (target === "server" && change.isFileOnly) return false;
    if (state === "violating" && change.violating === undefined) return false;
    if (migrator === "stock" && change.refused !== undefined) return false;
    if (state === "filled" && migrator === "ours") return true;
    return (index - 7 * number + 100 * WAYS.length) % WAYS.length < OTHERS;
  }).map((way) => ({ ...way, change })),
);

test("the SQL that the corpus keeps is what drizzle-kit writes", async () => {
  await expect(`${JSON.stringify(await generate(), undefined, 2)}\n`).toMatchFileSnapshot("corpus/generated.json");
});

test("the corpus has at least 60 changes, and each has its own name", () => {
  expect(new Set(CHANGES.map(({ name }) => name)).size).toBe(CHANGES.length);
  expect(CHANGES.length).toBeGreaterThanOrEqual(60);
});

describe.each(["file", "server"] as const)("on a %s", (name) => {
  const opened = TARGETS[name]();
  afterAll(async () => (await opened)[Symbol.asyncDispose]());
  test.each(
    TRIED.filter(({ target }) => target === name).map(
      (way) => [`${way.change.name}: ${way.state}, ${way.migrator}`, way] as const,
    ),
  )("%s", async (_, { change, state, migrator }) => {
    await tryChange(change, await opened, state, migrator);
  });
});
