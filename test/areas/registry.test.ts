import { getTableName } from "drizzle-orm";
import * as tables from "holdfast/schema";
import { expect, test } from "vitest";
import { AREAS } from "../../src/areas/registry.js";

const namesOf = (some: readonly (typeof AREAS)[number]["tables"][number][]) => some.map((table) => getTableName(table));

test("each table of the schema belongs to exactly one area", () => {
  const names = Object.values(tables).map((table) => getTableName(table));
  expect(AREAS.flatMap((area) => namesOf(area.tables)).sort()).toEqual(names.sort());
});

test.each(AREAS.map((area) => [area.name, area] as const))(
  "a purge of %s empties each of its tables once",
  (_, area) => {
    const { tables: own, purgeOrder = own } = area;
    expect(namesOf(purgeOrder).sort()).toEqual(namesOf(own).sort());
  },
);

test.each(AREAS.map((area) => [area.name, area] as const))(
  "records and search texts of %s are in its tables",
  (_, area) => {
    const own = namesOf(area.tables);
    expect(own).toEqual(expect.arrayContaining(namesOf(area.recordTables)));
    expect(own).toEqual(expect.arrayContaining(area.searchTargets.map(({ table }) => table)));
  },
);
