/**
 * Runs the trials: each figure in a fresh process, the contenders one after the other, medians over the rounds.
 *
 *     npm run bench -- [--rounds 5] [--only TEXT] [--data FOLDER]
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Trial } from "./trial.js";
import * as backup from "./trials/backup.js";
import * as conversations from "./trials/conversations.js";
import * as graph from "./trials/graph.js";
import * as list from "./trials/list.js";
import * as longText from "./trials/long-text.js";
import * as lost from "./trials/lost.js";
import * as memvid from "./trials/memvid.js";
import * as open from "./trials/open.js";
import * as pointRead from "./trials/point-read.js";
import * as remote from "./trials/remote.js";
import * as search from "./trials/search.js";
import * as stall from "./trials/stall.js";
import * as startUp from "./trials/start-up.js";
import * as stories from "./trials/stories.js";
import * as vectors from "./trials/vectors.js";
import * as writes from "./trials/writes.js";

const TRIALS: Record<string, Trial> = {
  ...pointRead,
  ...list,
  ...writes,
  ...open,
  ...stall,
  ...lost,
  ...startUp,
  ...longText,
  ...search,
  ...vectors,
  ...backup,
  ...memvid,
  ...graph,
  ...conversations,
  ...stories,
  ...remote,
};
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
    },
  });
  const rounds = Number(values.rounds);
  // npm runs this in the folder of the package, and INIT_CWD names the caller's folder.
  const data = resolve(process.env.INIT_CWD ?? ".", values.data ?? process.env.HOLDFAST_TEST_DATA ?? "");
  console.log(
    `${cpus().length} × ${cpus()[0]?.model}, Node ${process.versions.node}; medians of ${rounds} fresh processes each\n`,
  );
  for (const [name, trial] of Object.entries(TRIALS)) {
    if (!name.toLowerCase().includes(values.only.toLowerCase())) continue;
    if (trial.data !== undefined && !existsSync(join(data, trial.data))) continue;
    const contenders = Object.keys(trial.contenders);
    const figures = new Map(contenders.map((contender) => [contender, [] as number[]]));
    for (let round = 0; round < rounds; round++) {
      for (const contender of contenders) {
        const output = execFileSync(process.execPath, ["--import", "tsx", SELF, "--run", name, contender, shared], {
          encoding: "utf8",
          env: { ...process.env, HOLDFAST_TEST_DATA: data },
        });
        figures.get(contender)!.push(Number(output.trim().split("\n").at(-1)));
      }
    }
    report(trial, figures);
  }
}

function report(trial: Trial, figures: ReadonlyMap<string, number[]>): void {
  console.log(trial.title);
  const [own] = [...figures.values()];
  for (const [contender, values] of figures) {
    const sorted = [...values].sort((a, b) => a - b);
    const range = `${format(sorted[0]!)}–${format(sorted.at(-1)!)}`;
    // The ratios are paired: one for each round, then their median.
    const ratio = median(values.map((value, round) => value / own![round]!));
    const compared = values === own ? "" : `  ${ratio.toFixed(2)}×`;
    console.log(`  ${contender.padEnd(18)} ${format(median(values)).padStart(9)} ${trial.unit}  (${range})${compared}`);
  }
  console.log();
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}
