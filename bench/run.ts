/**
 * Runs the trials: each figure in a fresh process, the contenders one after the other, medians over the rounds.
 *
 *     npm run bench -- [--rounds 5] [--only NAME,NAME] [--data FOLDER] [--write]
 *
 * `--only` takes parts of the trials' names. `--write` keeps the figures in bench/results.json, and makes the page, the
 * charts and the README's table from it. Trials that did not run keep their earlier figures.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writePages } from "./report/page.js";
import {
  currentConditions,
  formatFigure,
  median,
  ratioTo,
  readResults,
  type TrialResult,
  writeResults,
} from "./report/results.js";
import { TRIALS } from "./trials.js";

const SELF = fileURLToPath(import.meta.url);

if (process.argv[2] === "--run") await runOne(process.argv[3]!, process.argv[4]!, process.argv[5]!);
else await withFolder(runAll);

/** In the child process: runs one contender of one trial, and prints its figure on the last line. */
async function runOne(name: string, contender: string, shared: string): Promise<never> {
  await withFolder(async (folder) => {
    const figure = await TRIALS[name]!.contenders[contender]!({ folder, shared });
    process.stdout.write(`${figure}\n`);
  });
  process.exit(0);
}

/** Passes an empty folder to `work`, and removes it afterwards. */
async function withFolder(work: (folder: string) => unknown): Promise<void> {
  const folder = mkdtempSync(join(process.env.HOLDFAST_BENCH_DIR ?? tmpdir(), "holdfast-bench-"));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runAll(shared: string): void {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      only: { type: "string", default: "" },
      data: { type: "string" },
      write: { type: "boolean", default: false },
    },
  });
  const conditions = currentConditions(Number(values.rounds));
  // npm runs this in the folder of the package, and INIT_CWD names the caller's folder.
  const data = resolve(process.env.INIT_CWD ?? ".", values.data ?? process.env.HOLDFAST_TEST_DATA ?? "");
  const wanted = values.only.toLowerCase().split(",");
  console.log(`${conditions.machine}, Node ${conditions.node}; medians of ${values.rounds} fresh processes each\n`);
  for (const [name, { title, unit, isMoreBetter = false, isCases = false, data: file, contenders }] of Object.entries(
    TRIALS,
  )) {
    if (!wanted.some((part) => name.toLowerCase().includes(part))) continue;
    if (file !== undefined && !existsSync(join(data, file))) continue;
    const figures = Object.fromEntries(Object.keys(contenders).map((contender) => [contender, [] as number[]]));
    for (let round = 0; round < conditions.rounds; round++) {
      for (const contender of Object.keys(contenders)) {
        const output = execFileSync(process.execPath, ["--import", "tsx", SELF, "--run", name, contender, shared], {
          encoding: "utf8",
          env: { ...process.env, HOLDFAST_TEST_DATA: data },
        });
        figures[contender]!.push(Number(output.trim().split("\n").at(-1)));
      }
    }
    const result: TrialResult = { title, unit, isMoreBetter, isCases, figures, conditions };
    print(result);
    // After each trial: a run may be stopped.
    if (values.write) writeResults(inOrder({ ...readResults(), [name]: result }));
  }
  if (values.write) writePages(readResults());
}

/** In the order of the trials, without those that no longer exist. */
function inOrder(results: Record<string, TrialResult>): Record<string, TrialResult> {
  return Object.fromEntries(Object.keys(TRIALS).flatMap((name) => (results[name] ? [[name, results[name]]] : [])));
}

function print(result: TrialResult): void {
  console.log(result.title);
  for (const [contender, values] of Object.entries(result.figures)) {
    const range = `${formatFigure(Math.min(...values))}–${formatFigure(Math.max(...values))}`;
    const ratio = ratioTo(result, contender);
    const compared = ratio === undefined ? "" : `  ${formatFigure(ratio)}×`;
    const figure = formatFigure(median(values)).padStart(9);
    console.log(`  ${contender.padEnd(26)} ${figure} ${result.unit}  (${range})${compared}`);
  }
  console.log();
}
