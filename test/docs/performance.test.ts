import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { formatFigure, median, ratioTo, readResults } from "../../bench/report/results.js";

const results = Object.entries(readResults());
const page = readFileSync("docs/operations/performance.md", "utf8");

/** The cells of the rows of figures, the name of the work in each of them. */
function rowsOf(text: string): string[][] {
  let work = "";
  const rows: string[][] = [];
  for (const line of text.split("\n")) {
    const cells = /^\| (.*) \|$/.exec(line)?.[1]?.split(" | ");
    if (cells?.length !== 5 || cells[0] === "work") continue;
    work = cells[0] || work;
    rows.push([work, ...cells.slice(1)]);
  }
  return rows;
}

describe("docs/operations/performance.md", () => {
  test("has the figures of bench/results.json, and no others", () => {
    const expected = results.flatMap(([, trial]) =>
      Object.entries(trial.figures).map(([contender, values]) => {
        const ratio = ratioTo(trial, contender);
        return [
          trial.title,
          contender,
          `${formatFigure(median(values))} ${trial.unit}`,
          `${formatFigure(Math.min(...values))} to ${formatFigure(Math.max(...values))}`,
          ratio === undefined ? "" : `${formatFigure(ratio)}×`,
        ];
      }),
    );
    expect(expected.length).toBeGreaterThan(50);
    expect(rowsOf(page).sort()).toEqual(expected.sort());
  });

  test("says of every trial when and with what it ran", () => {
    for (const [name, { conditions }] of results) {
      const line = page
        .split("\n")
        .find((one) => one.startsWith("- ") && (one.includes(`\`${name}\``) || one.startsWith("- All")));
      for (const part of [conditions.date, conditions.commit, conditions.machine, `Node ${conditions.node}`]) {
        expect(line).toContain(part);
      }
    }
  });

  test("shows each chart in a light and a dark form, and there are no others", () => {
    const shown = [...page.matchAll(/charts\/([\w-]+\.svg)/g)].map(([, name]) => name).sort();
    expect(shown.length).toBeGreaterThan(10);
    expect(readdirSync("docs/operations/charts").sort()).toEqual(shown);
    for (const name of shown) expect(existsSync(`docs/operations/charts/${name}`)).toBe(true);
  });
});

test("the README's figures are those of bench/results.json", () => {
  const block = /<!-- figures: begin -->([\s\S]*)<!-- figures: end -->/.exec(readFileSync("README.md", "utf8"))![1]!;
  const rows = block.trim().split("\n").slice(2);
  expect(rows.length).toBeGreaterThan(3);
  const known = results.map(([, trial]) => {
    const [own] = Object.values(trial.figures);
    const ratio = "stock client" in trial.figures ? ratioTo(trial, "stock client") : undefined;
    return `| ${formatFigure(median(own!))} ${trial.unit} | ${ratio === undefined ? "" : `${formatFigure(ratio)}×`} |`;
  });
  for (const row of rows) expect(known).toContain(row.replace(/^\| [^|]*/, ""));
});
