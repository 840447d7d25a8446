import type { LedgerRow, Migration } from "holdfast/migrate";
import { describe, expect, test } from "vitest";
import { compareWithLedger, planMigrations } from "../../src/migrate/plan.js";

const step = (tag: string, when: number, hash = `hash of ${tag}`): Migration => ({
  tag,
  when,
  hash,
  sql: "",
  path: tag,
});
const row = ({ hash, when }: Migration): LedgerRow => ({ hash, when });

const A = step("0000_a", 100);
const B = step("0001_b", 200);
const C = step("0002_c", 300);
const JOURNAL = [A, B, C];
const ALIEN: LedgerRow = { hash: "alien", when: 999 };
const EDITED: LedgerRow = { hash: "as it was", when: B.when };

interface Situation {
  readonly ledger: readonly LedgerRow[];
  readonly options?: { to?: string; allowOutOfOrder?: boolean; hasOwnTables?: boolean };
  readonly outcome: string | readonly string[];
}

const SITUATIONS: Record<string, Situation> = {
  "a new file takes all": { ledger: [], outcome: ["0000_a", "0001_b", "0002_c"] },
  "an up-to-date file takes none": { ledger: JOURNAL.map(row), outcome: [] },
  "a file half-way takes the remaining ones": { ledger: [row(A)], outcome: ["0001_b", "0002_c"] },
  "the order of the ledger does not matter": { ledger: [row(C), row(A), row(B)], outcome: [] },
  "`to` ends the list": { ledger: [row(A)], options: { to: "0001_b" }, outcome: ["0001_b"] },
  "`to` before the last applied migration takes none": {
    ledger: [row(A), row(B)],
    options: { to: "0000_a" },
    outcome: [],
  },
  "`to` without a migration": { ledger: [], options: { to: "0009_x" }, outcome: "NOT_FOUND" },
  "a late one is refused": { ledger: [row(A), row(C)], outcome: "MIGRATION_OUT_OF_ORDER" },
  "a late one is applied on demand": {
    ledger: [row(A), row(C)],
    options: { allowOutOfOrder: true },
    outcome: ["0001_b"],
  },
  "a late one after `to` does not matter yet": {
    ledger: [row(A), row(C)],
    options: { to: "0000_a" },
    outcome: [],
  },
  "an edited file": { ledger: [row(A), EDITED], outcome: "MIGRATION_CHANGED" },
  "an entry of newer code": { ledger: [...JOURNAL.map(row), ALIEN], outcome: "MIGRATION_UNKNOWN" },
  "an entry of newer code is reported before an edited file": {
    ledger: [row(A), EDITED, ALIEN],
    outcome: "MIGRATION_UNKNOWN",
  },
  "only entries of others": { ledger: [ALIEN], outcome: "FOREIGN_LEDGER" },
  "only entries of others in a file with our tables": {
    ledger: [ALIEN],
    options: { hasOwnTables: true },
    outcome: "MIGRATION_UNKNOWN",
  },
  "only edited entries still count as ours": { ledger: [EDITED], outcome: "MIGRATION_CHANGED" },
  "a hash that was applied at another time is applied": {
    ledger: [row(A), { hash: B.hash, when: 1 }, row(C)],
    outcome: [],
  },
  "a migration that several stock migrators applied twice is applied": {
    ledger: [row(A), row(A), row(B), row(C)],
    outcome: [],
  },
  "an entry without a time is identified by its hash": {
    ledger: [{ hash: A.hash, when: Number.NaN }],
    outcome: ["0001_b", "0002_c"],
  },
};

describe("planning", () => {
  test.each(Object.entries(SITUATIONS))("%s", (_, { ledger, options = {}, outcome }) => {
    const plan = () =>
      planMigrations(JOURNAL, compareWithLedger(JOURNAL, ledger), {
        folder: "drizzle",
        migrations: undefined,
        table: "__drizzle_migrations",
        hasOwnTables: false,
        ...options,
      }).map(({ tag }) => tag);
    if (typeof outcome === "string") expect(plan).toThrow(expect.objectContaining({ code: outcome }));
    else expect(plan()).toEqual(outcome);
  });

  test("two files with the same text are two migrations", () => {
    const twins = [step("0000_empty", 100, "same"), step("0001_empty", 200, "same")];
    const { applied, pending } = compareWithLedger(twins, [row(twins[1]!)]);
    expect(applied).toEqual([twins[1]]);
    expect(pending).toEqual([twins[0]]);
  });
});
