import { expect, test } from "vitest";
import { runChild } from "../support/child.js";
import { report } from "../support/reliability-table.js";
import { SOAK_TIMEOUT_MS, times } from "../support/soak.js";
import { tempDatabase } from "../support/temp.js";

test(
  "a worker that has awaited close() may exit or be terminated: the process continues and nothing is lost",
  async () => {
    await using db = await tempDatabase();
    const rounds = times(15, 200);
    interface Done {
      readonly rounds: number;
      readonly stored: number;
      readonly found: number;
      readonly integrity: string;
    }
    const { rounds: done, stored, found, integrity } = await runChild<Done>("worker-rounds", { path: db.path, rounds });
    report({ what: "workers that end after close()", tried: done, unit: "workers", lost: stored - found });
    expect({ done, found, integrity }).toEqual({ done: rounds, found: stored, integrity: "ok" });
  },
  SOAK_TIMEOUT_MS,
);
