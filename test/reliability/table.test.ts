import { expect, test } from "vitest";
import { formatTable } from "../support/reliability-table.js";

test("the table of a run adds up rows with the same name", () => {
  const rows = [
    { what: "kill -9", tried: 700, unit: "kills", lost: 0, note: "9 files" },
    { what: "power loss", tried: 12, unit: "states", lost: 2 },
    { what: "kill -9", tried: 400, unit: "kills", lost: 1 },
  ];
  expect(formatTable(rows).split("\n")).toEqual([
    "what was tried  how often    lost",
    "kill -9         1,100 kills  1     9 files",
    "power loss      12 states    2",
  ]);
});
