import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { type Child, startChild } from "../support/child.js";
import { DATABASE_KINDS, FILE_KINDS, Ledger } from "../support/ledger.js";
import { Disk, MARKS, readTrace } from "../support/power-loss.js";
import { type Random, seededRandom } from "../support/random.js";
import { report } from "../support/reliability-table.js";
import { compileShim } from "../support/shim.js";
import { rounds, SOAK_TIMEOUT_MS, soakMinutes, times } from "../support/soak.js";
import { type TempDatabase, tempDatabase } from "../support/temp.js";

// A recorded run is replayed up to a moment. Writes that were not synced by then are dropped, reordered or torn. Then
// another process opens the result.

const shim = compileShim();
afterAll(() => shim?.[Symbol.dispose]());

const STATES = times(16, 300);

interface State {
  readonly number: number;
  readonly values: [string, string][];
  readonly problems: string[];
}

/** Compares one state with the reports up to that moment. Returns a line for each problem. */
type Judge = (marks: readonly unknown[], values: ReadonlyMap<string, string>) => string[];

/** Records a child process, and examines states throughout its trace. */
async function replay(
  place: TempDatabase,
  program: string,
  input: Record<string, unknown>,
  judge: Judge,
  random: Random,
  states: number,
): Promise<string[]> {
  const work = join(place.dir, "work");
  const trace = join(place.dir, "trace");
  mkdirSync(work);
  const environment = { ...shim!.environment(work, { trace }), HOLDFAST_MARKS: join(work, MARKS) };
  await using child = startChild(program, { dir: work, ...input }, environment);
  const { code, stderr } = await child.exited;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const records = readTrace(trace);
  const moments = Array.from({ length: states }, () => random.below(records.length)).sort((a, b) => a - b);
  const disk = new Disk(work);
  const wrong: string[] = [];
  let reader = startChild("state-reader");
  try {
    let at = 0;
    for (const [number, moment] of moments.entries()) {
      while (at <= moment) disk.take(records[at++]!);
      const dir = join(place.dir, `state-${number}`);
      disk.lose(random, dir);
      const where = `HOLDFAST_SEED=${random.seed}, state ${number} at call ${moment} of ${records.length}: `;
      const isDeep = number % 10 === 0;
      reader.send({ number, dir, isDeep, withStories: input.withStories });
      const found = await answer(reader, number);
      if (typeof found === "string") {
        wrong.push(`${where}the reader ended: ${found}`);
        reader = startChild("state-reader");
        continue;
      }
      const bad = [...found.problems, ...judge(disk.marks, new Map(found.values))];
      wrong.push(...bad.map((line) => where + line));
      rmSync(dir, { recursive: true });
    }
  } finally {
    await reader[Symbol.asyncDispose]();
  }
  return wrong;
}

/** The reader's report about a state, or how the reader ended. */
async function answer(reader: Child, number: number): Promise<State | string> {
  try {
    return await reader.message<State>((message) => message.number === number);
  } catch {
    return (await reader.exited).stderr;
  }
}

const judgeByLedger: Judge = (marks, values) => {
  const ledger = new Ledger();
  ledger.add(marks);
  const { lost, partial, extra } = ledger.compare(values);
  return [
    ...lost.map((key) => `lost ${key}`),
    ...partial.map((what) => `partial ${what}`),
    ...extra.map((key) => `${key} is there`),
  ];
};

test.skipIf(shim === undefined).each([
  ["the database at full durability", [...DATABASE_KINDS, "backup"]],
  ["stories in files", FILE_KINDS],
])(
  "a loss of power loses no acknowledged change of %s, and leaves nothing partial",
  async (what, kinds) => {
    const random = seededRandom("power loss");
    const wrong: string[] = [];
    let states = 0;
    for (const _ of rounds(1)) {
      await using place = await tempDatabase();
      const count = soakMinutes === undefined ? 150 : 400;
      const input = { writer: "p", seed: random.below(2 ** 31), isFirst: true, atOnce: 1 + random.below(3) };
      wrong.push(
        ...(await replay(
          place,
          "mixed-writer",
          { ...input, kinds, count, withStories: kinds.includes("saveFile") },
          judgeByLedger,
          random,
          STATES,
        )),
      );
      states += STATES;
    }
    report({ what: `loss of power, ${what}`, tried: states, unit: "states", lost: wrong.length });
    expect(wrong).toEqual([]);
  },
  SOAK_TIMEOUT_MS,
);

test.skipIf(shim === undefined)(
  "control: at relaxed durability, a loss of power loses only the last commits",
  async () => {
    const random = seededRandom("power loss at relaxed durability");
    await using place = await tempDatabase();
    const input = { writer: "p", seed: random.below(2 ** 31), isFirst: true, atOnce: 1, withStories: false };
    const kinds = ["insertMemory", "batch", "append", "insertConversation"];
    const relaxed = { ...input, kinds, count: 60, durability: "relaxed" };
    const wrong = await replay(place, "mixed-writer", relaxed, judgeByLedger, random, 20);
    expect(wrong.length).toBeGreaterThan(0);
    expect(wrong.filter((line) => !/: lost /.test(line))).toEqual([]);
  },
);

test.skipIf(shim === undefined)(
  "a loss of power during a backup or a restore leaves the complete old file or the complete new one",
  async () => {
    const random = seededRandom("power loss in a restore");
    const wrong: string[] = [];
    let states = 0;
    for (const _ of rounds(1)) {
      await using place = await tempDatabase();
      interface Mark {
        readonly mayBe: [string, string][][];
      }
      const judge: Judge = (marks, values) => {
        const { mayBe } = (marks.at(-1) ?? { mayBe: [] }) as Mark;
        if (mayBe.length === 0) return [];
        const without = (entries: Iterable<[string, string]>) =>
          JSON.stringify([...entries].filter(([key]) => !key.startsWith("backup/")).sort());
        if (mayBe.some((one) => without(one) === without(values))) return [];
        return [`${values.size} records are neither of ${mayBe.map((one) => one.length)}`];
      };
      const half = STATES / 2;
      wrong.push(
        ...(await replay(
          place,
          "restore-and-go-on",
          { rows: 50 + random.below(200), withStories: false },
          judge,
          random,
          half,
        )),
      );
      states += half;
    }
    report({ what: "loss of power during backup and restore", tried: states, unit: "states", lost: wrong.length });
    expect(wrong).toEqual([]);
  },
  SOAK_TIMEOUT_MS,
);
