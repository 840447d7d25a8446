import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One row of the table at the end of a run. */
export interface ReliabilityRow {
  /** The kind of fault, in a few words: "kill -9 of three processes". Rows with the same name are added up. */
  readonly what: string;
  /** How often it was tried. */
  readonly tried: number;
  /** The unit of `tried`, in the plural: "kills", "faults fired", "power losses". */
  readonly unit: string;
  /** Acknowledged operations, records or files that were missing afterwards, incomplete, or stored twice. */
  readonly lost: number;
  /** Additional information next to the numbers: "41,000 acknowledged operations". */
  readonly note?: string;
}

const VARIABLE = "HOLDFAST_RELIABILITY_TABLE";

/**
 * Adds a row to the table that is printed when the run ends (`npm run test:reliability`, `npm run test:soak`).
 *
 * Call it at the end of a test, before its expectations, so that the table also shows the losses of a failing run.
 *
 * @example
 * report({ what: "kill -9 of a server", tried: kills, unit: "kills", lost: missing.length });
 */
export function report(row: ReliabilityRow): void {
  const file = process.env[VARIABLE];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(row)}\n`);
}

/** For vitest's `globalSetup`: creates the file that `report` adds to. The returned function prints it as a table. */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-table-"));
  const file = join(folder, "rows.jsonl");
  appendFileSync(file, "");
  process.env[VARIABLE] = file;
  return () => {
    const rows = readFileSync(file, "utf8").split("\n").slice(0, -1);
    rmSync(folder, { recursive: true, force: true });
    if (rows.length > 0) console.log(`\n${formatTable(rows.map((line) => JSON.parse(line) as ReliabilityRow))}\n`);
  };
}

/** The rows as text, with rows of the same name added up. */
export function formatTable(rows: readonly ReliabilityRow[]): string {
  const sums = new Map<string, ReliabilityRow>();
  for (const row of rows) {
    const known = sums.get(`${row.what}\n${row.unit}`);
    const note = [known?.note, row.note].filter((part) => part !== undefined).join("; ");
    const numbers = { tried: row.tried + (known?.tried ?? 0), lost: row.lost + (known?.lost ?? 0) };
    sums.set(`${row.what}\n${row.unit}`, { ...row, ...numbers, ...(note === "" ? {} : { note }) });
  }
  const cells = [
    ["what was tried", "how often", "lost", ""],
    ...[...sums.values()].map(({ what, tried, unit, lost, note = "" }) => [
      what,
      `${tried.toLocaleString("en")} ${unit}`,
      lost.toLocaleString("en"),
      note,
    ]),
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((row) => row[column]!.length)));
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
