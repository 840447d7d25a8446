import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { GROUPS } from "../trials.js";
import { chart, type Theme } from "./chart.js";
import { type Conditions, formatFigure, median, type Results, ratioTo, type TrialResult } from "./results.js";

const ROOT = new URL("../../", import.meta.url);
const FOLDER = "docs/operations/";
const BEGIN = "<!-- figures: begin -->";
const END = "<!-- figures: end -->";
const THEMES: readonly Theme[] = ["light", "dark"];

/** Rows of the README: the trial, the work in its words, and the contender to compare with. */
const IN_README = [
  ["pointRead", "`execute`, one row of 10,000 by key"],
  ["preparedRead", "a prepared Drizzle query of one row"],
  ["concurrentWrites", "1,000 concurrent inserts"],
  ["batchWrites", "a batch of 1,000 inserts"],
  ["singleWrites", "single awaited inserts: the disk decides"],
] as const;
const README_PEER = "stock client";

const INTRODUCTION = `# Performance

\`npm --prefix bench install && npm run bench -- --write\` runs all trials and writes this page, its charts and the table of the README. Each figure is the median of several fresh processes, with the contenders in turn. The range is from the fastest to the slowest process. The ratio compares the first contender of the work with the others: above 1, the first one is better. The charts show it in parentheses.

All databases are files with WAL and \`synchronous=FULL\`, unless the work says otherwise, and each peer is used as its documentation advises:

- *stock client*: \`@libsql/client\`, with one connection.
- *raw libsql*: the native library under both clients, called directly and synchronously with prepared statements. It is the limit: no client can be faster.
- *better-sqlite3*: prepared statements, synchronous.
- *plain FTS5*: a table with an FTS5 index of the porter tokenizer, on raw libsql.
- *MiniSearch*, *graphology*: in memory, filled before the measurement.
- *sqlite-vec*: a \`vec0\` table on better-sqlite3.
- *MCP memory server*: the official \`@modelcontextprotocol/server-memory\`.
`;

/** Files by their paths in the repository. */
function renderPages(results: Results): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  const sections: string[] = [];
  for (const { name, heading, note, trials } of GROUPS) {
    const found = Object.keys(trials).flatMap((trial) => results[trial] ?? []);
    if (found.length === 0) continue;
    const compared = found.filter(({ figures, isCases }) => !isCases && Object.keys(figures).length > 1);
    const picture: string[] = [];
    if (compared.length > 0) {
      for (const theme of THEMES) files.set(`${FOLDER}charts/${name}-${theme}.svg`, chart(heading, compared, theme));
      picture.push(
        `<picture><source media="(prefers-color-scheme: dark)" srcset="charts/${name}-dark.svg"><img src="charts/${name}-light.svg" alt="Bars of the figures in the table of ${heading}"></picture>`,
      );
    }
    sections.push([`## ${heading}`, ...(note === undefined ? [] : [note]), ...picture, table(found)].join("\n\n"));
  }
  files.set(`${FOLDER}performance.md`, `${INTRODUCTION}\n${sections.join("\n\n")}\n\n${conditionsOf(results)}\n`);
  files.set("README.md", inReadme(results));
  return files;
}

export function writePages(results: Results): void {
  mkdirSync(new URL(`${FOLDER}charts`, ROOT), { recursive: true });
  for (const [path, content] of renderPages(results)) writeFileSync(new URL(path, ROOT), content);
}

function table(trials: readonly TrialResult[]): string {
  const rows = trials.flatMap((trial) =>
    Object.entries(trial.figures).map(([name, values], index) => {
      const range = `${formatFigure(Math.min(...values))} to ${formatFigure(Math.max(...values))}`;
      const ratio = ratioTo(trial, name);
      const compared = ratio === undefined ? "" : `${formatFigure(ratio)}×`;
      return `| ${index === 0 ? trial.title : ""} | ${name} | ${formatFigure(median(values))} ${trial.unit} | ${range} | ${compared} |`;
    }),
  );
  return ["| work | contender | median | range | ratio |", "|---|---|---|---|---|", ...rows].join("\n");
}

/** Trials may have run at several times; each set of conditions is told once. */
function conditionsOf(results: Results): string {
  const byConditions = new Map<string, { readonly conditions: Conditions; readonly names: string[] }>();
  for (const [name, { conditions }] of Object.entries(results)) {
    const key = JSON.stringify(conditions);
    const entry = byConditions.get(key) ?? { conditions, names: [] };
    entry.names.push(name);
    byConditions.set(key, entry);
  }
  const lines = [...byConditions.values()].map(({ conditions, names }) => {
    const { date, commit, machine, node, rounds, versions } = conditions;
    const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
    const which = byConditions.size === 1 ? "All trials" : names.map((name) => `\`${name}\``).join(", ");
    return `- ${which}: ${date}, commit ${commit}, ${rounds} processes for each figure, ${machine}, Node ${node}, ${packages.join(", ")}.`;
  });
  return `## Conditions\n\n${lines.join("\n")}`;
}

/** The README with its table of figures made again. */
function inReadme(results: Results): string {
  const text = readFileSync(new URL("README.md", ROOT), "utf8");
  const [before, rest] = text.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`README.md has no ${BEGIN} … ${END}`);
  const rows = IN_README.flatMap(([name, work]) => {
    const trial = results[name];
    if (trial === undefined) return [];
    const [own] = Object.values(trial.figures);
    const ratio = formatFigure(ratioTo(trial, README_PEER)!);
    return [`| ${work} | ${formatFigure(median(own!))} ${trial.unit} | ${ratio}× |`];
  });
  const figures = ["| work | Holdfast | ratio |", "|---|---|---|", ...rows].join("\n");
  return `${before}${BEGIN}\n${figures}\n${END}${after}`;
}
