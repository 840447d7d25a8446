import { expect, test } from "vitest";
import { readDdl } from "../../src/migrate/ddl.js";

test.each([
  ["CREATE TABLE `a` (x)", { action: "create", type: "table", name: "a", table: "a" }],
  ["create table if not exists main.a(x)", { action: "create", type: "table", name: "a", table: "a" }],
  ['CREATE TABLE"a b"(x)', undefined],
  ["CREATE VIRTUAL TABLE f USING fts5(a)", { action: "create", type: "table", name: "f", table: "f" }],
  ["CREATE UNIQUE INDEX [i 1] ON 'a' (x)", { action: "create", type: "index", name: "i 1", table: "a" }],
  [
    'CREATE TRIGGER /* why */ t AFTER UPDATE OF x\nON "q""q" BEGIN SELECT 1; END',
    { action: "create", type: "trigger", name: "t", table: 'q"q' },
  ],
  ["CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END", undefined],
  ["CREATE VIEW v AS SELECT 1", { action: "create", type: "view", name: "v", table: "v" }],
  ["DROP TRIGGER IF EXISTS `t`", { action: "drop", type: "trigger", name: "t" }],
  ["drop -- it\ntable main.a", { action: "drop", type: "table", name: "a" }],
  ["ALTER TABLE `__new_a` RENAME TO `a`", { action: "rename", from: "__new_a", to: "a" }],
  ["ALTER TABLE a RENAME COLUMN x TO y", undefined],
  ["ALTER TABLE a RENAME x TO y", undefined],
  ["INSERT INTO a VALUES ('DROP TABLE a')", undefined],
])("%s", (sql, expected) => {
  expect(readDdl(sql)).toEqual(expected);
});
