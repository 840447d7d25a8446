import { openStorage } from "holdfast";
import { describe, expect, test } from "vitest";
import { holdfast, holdfastInTerminal } from "../support/cli.js";
import { type TempDatabase, tempDatabase } from "../support/temp.js";

const HOSTILE = "walrus \u001b[31m\u001b[2Jred\u0007\r\nsecond line\ttab \u202egnp.exe \u009b1m \u0002bold\u0003 end";
const LONG = `${"Sea ice is thin in spring. ".repeat(20)}A walrus rests on it. ${"Then it dives again. ".repeat(20)}`;
const BOLD_WALRUS = "\u001b[1mwalrus\u001b[22m";

async function filled(): Promise<{ db: TempDatabase; id: string }> {
  const db = await tempDatabase();
  await using storage = await openStorage(db.path);
  const { id } = await storage.memories.insert({ content: LONG, type: "decision" });
  await storage.memories.insertMany([
    { id: "hostile", content: HOSTILE },
    { id: "an-id-of-a-program-that-makes-its-own", content: "a walrus" },
  ]);
  return { db, id };
}

/** The lines of a screen, without colors. */
const linesOf = (shown: string) =>
  shown
    .replaceAll(/\u001b\[\d+m/g, "")
    .trimEnd()
    .split("\r\n");

describe("a search in a terminal", () => {
  // At 80 columns, the text of a match got 10 characters, next to an id of 36.
  test.each([
    [40, ["ID", "TEXT"], 20],
    [80, ["TYPE", "ID", "TEXT"], 45],
    [140, ["MATCH", "TYPE", "CREATED", "ID", "TEXT"], 75],
  ])("of %i columns gives the text the space that is left, and marks the matches", async (columns, head, least) => {
    const { db, id } = await filled();
    await using _ = db;
    const { code, stdout } = await holdfastInTerminal(["search", "walrus", "--url", db.path], columns);
    expect(code).toBe(0);
    const lines = linesOf(stdout);
    expect(lines[0]!.split(/ +/)).toEqual(head);
    expect(lines).toHaveLength(4);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
    const long = lines.find((line) => line.includes("rests"))!;
    expect(long).toContain(` ${id.slice(-8)} `.slice(columns === 40 ? 1 : 0));
    expect(long.slice(lines[0]!.indexOf("TEXT")).length).toBeGreaterThanOrEqual(least);
    expect(stdout.split(BOLD_WALRUS)).toHaveLength(4);
    expect(stdout).not.toContain("mark>");
    if (columns === 140) expect(long).toMatch(/ \d{4}-\d\d-\d\dT\d\d:\d\dZ /);
  });

  test("has no command of the contents in it", async () => {
    const { db } = await filled();
    await using _ = db;
    const { stdout } = await holdfastInTerminal(["search", "walrus", "--url", db.path], 70, { NO_COLOR: "1" });
    expect(stdout.replaceAll("\r\n", "")).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
    for (const args of [
      ["search", "walrus"],
      ["show", "hostile"],
    ]) {
      const plain = await holdfast([...args, "--url", db.path]);
      expect(plain.stdout).toContain("\\u001b[31m");
      expect(plain.stdout).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    }
  });
});

test("contents are in JSON as they are", async () => {
  const { db } = await filled();
  await using _ = db;
  const { stdout } = await holdfast(["search", "walrus red", "--json", "--url", db.path]);
  const { results } = JSON.parse(stdout) as { results: { memory: { id: string; content: string } }[] };
  expect(results.find(({ memory }) => memory.id === "hostile")?.memory.content).toBe(HOSTILE);
});

test("colors follow NO_COLOR, FORCE_COLOR and whether the output is a terminal", async () => {
  const { db } = await filled();
  await using _ = db;
  const args = ["search", "dives", "--url", db.path];
  const bold = "\u001b[1mdives\u001b[22m";
  const inPipe = (env: Record<string, string>) => holdfast(args, { env });
  expect((await inPipe({})).stdout).not.toContain("\u001b");
  expect((await inPipe({ FORCE_COLOR: "1" })).stdout).toContain(bold);
  expect((await inPipe({ FORCE_COLOR: "1", NO_COLOR: "1" })).stdout).toContain(bold);
  expect((await inPipe({ FORCE_COLOR: "0" })).stdout).not.toContain("\u001b");
  expect((await holdfastInTerminal(args)).stdout).toContain(bold);
  for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }, { FORCE_COLOR: "0" }]) {
    expect((await holdfastInTerminal(args, 80, env)).stdout, JSON.stringify(env)).not.toContain("\u001b");
  }
  const failed = await holdfast(["stats", "--url", `${db.dir}/none.db`], { env: { FORCE_COLOR: "1" } });
  expect(failed.stderr).toMatch(/^\u001b\[31mholdfast:\u001b\[39m NOT_FOUND: /);
});

// Each phase left its bar on the screen.
test("a terminal gets one progress bar, which is gone at the end; JSON and pipes get none", async () => {
  const { db } = await filled();
  await using _ = db;
  const { stdout } = await holdfastInTerminal(["check", "--deep", "--url", db.path], 40);
  expect(stdout).toMatch(/█+.* 100%/);
  const [bars, rest] = [stdout.slice(0, stdout.lastIndexOf("%") + 1), stdout.slice(stdout.lastIndexOf("%") + 1)];
  expect(bars).not.toContain("\n");
  for (const bar of bars.split("\r\u001b[K")) expect(bar.length).toBeLessThan(40);
  expect(rest).toMatch(/^\r\u001b\[K[^█░\r]*\r\n(.*\r\n)?$/);
  const json = await holdfastInTerminal(["stats", "--json", "--url", db.path]);
  expect(JSON.parse(json.stdout)).toMatchObject({ path: db.path });
  const piped = await holdfast(["check", "--deep", "--url", db.path]);
  expect(piped).toMatchObject({ code: 0, stderr: "" });
});
