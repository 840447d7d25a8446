import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import type { Trial } from "../trial.js";

/** Where the figures of the last run of each trial are kept. The page and the charts are made from them. */
const FILE = fileURLToPath(new URL("../results.json", import.meta.url));
/** Packages whose versions decide about the figures. */
const PACKAGES = [
  "@libsql/client",
  "libsql",
  "drizzle-orm",
  "better-sqlite3",
  "sqlite-vec",
  "minisearch",
  "graphology",
  "@modelcontextprotocol/server-memory",
];

/** When and with what a trial ran. */
export interface Conditions {
  /** As `2026-11-30`. */
  readonly date: string;
  /** The commit that was checked out, with `+` if the working tree had changes. */
  readonly commit: string;
  readonly machine: string;
  readonly node: string;
  /** How many fresh processes each contender had. */
  readonly rounds: number;
  readonly versions: Readonly<Record<string, string>>;
}

export interface TrialResult extends Pick<Trial, "title" | "unit"> {
  readonly isMoreBetter: boolean;
  readonly isCases: boolean;
  /** The figures of each contender, one a round. */
  readonly figures: Readonly<Record<string, readonly number[]>>;
  readonly conditions: Conditions;
}

/** By the names of the trials. */
export type Results = Readonly<Record<string, TrialResult>>;

export function readResults(): Results {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, "utf8")) as Results) : {};
}

export function writeResults(results: Results): void {
  writeFileSync(FILE, `${JSON.stringify(results, undefined, 2)}\n`);
}

export function currentConditions(rounds: number): Conditions {
  const git = (...args: string[]) => execFileSync("git", args, { encoding: "utf8" }).trim();
  const isChanged = git("status", "--porcelain", "--untracked-files=no") !== "";
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: git("rev-parse", "--short", "HEAD") + (isChanged ? "+" : ""),
    machine: `${cpus().length} × ${cpus()[0]?.model.trim()}, ${process.platform} ${process.arch}`,
    node: process.versions.node,
    rounds,
    versions: Object.fromEntries(
      PACKAGES.flatMap((name) => {
        const version = versionOf(name);
        return version === undefined ? [] : [[name, version]];
      }),
    ),
  };
}

/** Read from the folder of the package, since not every package exports its package.json. */
function versionOf(name: string): string | undefined {
  for (const folder of createRequire(import.meta.url).resolve.paths(name) ?? []) {
    const path = `${folder}/${name}/package.json`;
    if (existsSync(path)) return JSON.parse(readFileSync(path, "utf8")).version;
  }
  return undefined;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * How many times better the first contender is than `contender`: a ratio for each round, then their median. Undefined for
 * the first contender itself, and for cases.
 */
export function ratioTo({ figures, isMoreBetter, isCases }: TrialResult, contender: string): number | undefined {
  const [first, own] = Object.entries(figures)[0]!;
  if (isCases || contender === first) return undefined;
  return median(figures[contender]!.map((value, round) => (isMoreBetter ? own[round]! / value : value / own[round]!)));
}

/** With commas between thousands, and about three digits. */
export function formatFigure(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString("en");
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1);
  return value.toFixed(value >= 1 ? 2 : 3);
}
