import { expect, test } from "vitest";
import { findDifferences } from "../../src/migrate/differences.js";
import { MemorySchema } from "../../src/migrate/memory-schema.js";

const WANTED = `
  CREATE TABLE \`people\` (
    \`id\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
    \`email\` text NOT NULL COLLATE NOCASE,
    \`age\` integer DEFAULT (18), -- years
    \`role\` text DEFAULT 'user' NOT NULL,
    \`low\` text GENERATED ALWAYS AS (lower(email)) VIRTUAL,
    CONSTRAINT \`adult\` CHECK(\`age\` >= 18)
  );
  CREATE UNIQUE INDEX \`by_email\` ON \`people\` (\`email\`) WHERE age > 20;
  CREATE TABLE \`notes\` (
    \`owner\` integer, \`nr\` integer, \`body\` text UNIQUE, PRIMARY KEY(\`owner\`, \`nr\`),
    FOREIGN KEY (\`owner\`) REFERENCES \`people\`(\`id\`) ON UPDATE no action ON DELETE cascade
  );
  CREATE VIEW \`seniors\` AS SELECT id FROM people WHERE age > 60;
  CREATE TRIGGER touch AFTER INSERT ON notes BEGIN UPDATE people SET age = age WHERE id = new.owner; END;`;

/** The same schema as another tool writes it, with a table more. */
const SAME = `
  create table "people" (
    id INTEGER not null primary key autoincrement,
    role TEXT NOT NULL DEFAULT ('user'), age INTEGER default 18 check (age>=18),
    email TEXT COLLATE nocase NOT NULL, low TEXT AS (lower(email))
  );
  create unique index by_email on people(email) where age>20;
  CREATE TABLE notes (nr INTEGER, owner INTEGER REFERENCES people(id) ON DELETE CASCADE, body TEXT,
    CONSTRAINT k PRIMARY KEY (owner, nr), UNIQUE (body));
  CREATE VIEW seniors AS SELECT id FROM people WHERE age>60;
  CREATE TRIGGER touch AFTER INSERT ON notes BEGIN UPDATE people SET age=age WHERE id=new.owner; END;
  CREATE TABLE more (x);`;

function read(sql: string) {
  const memory = new MemorySchema();
  memory.exec(sql);
  const schema = memory.read();
  memory.close();
  return schema;
}

test("two schemas that do the same do not differ, however they are written", () => {
  expect(findDifferences(read(WANTED), read(SAME))).toEqual([]);
});

test.each([
  ["a type", "age INTEGER default 18", "age TEXT default 18", "the table people (extra: age text default 18;"],
  ["NOT NULL", "COLLATE nocase NOT NULL", "COLLATE nocase", "missing: email text not null collate nocase"],
  ["a default", "('user')", "'admin'", "extra: role text not null default 'admin'"],
  ["a collation", "COLLATE nocase ", "", "missing: email text not null collate nocase"],
  ["a generated value", "AS (lower(email))", "AS (upper(email))", "extra: low text as (upper(email))"],
  ["a column more", "low TEXT", "more TEXT NOT NULL, low TEXT", "extra: more text not null; missing: nothing"],
  ["AUTOINCREMENT", " autoincrement", "", "missing: autoincrement"],
  ["STRICT", "(lower(email))\n  )", "(lower(email))\n  ) STRICT", "extra: strict"],
  ["a check", "check (age>=18)", "check (age>=21)", "extra: check (age>=21); missing: check (age>=18)"],
  ["no check", "check (age>=18)", "", "missing: check (age>=18)"],
  ["a primary key", "PRIMARY KEY (owner, nr)", "PRIMARY KEY (nr, owner)", "extra: primary key (nr,owner)"],
  ["no unique key", ", UNIQUE (body)", "", "missing: unique (body)"],
  ["a foreign key", "ON DELETE CASCADE", "ON DELETE SET NULL", "on delete set null"],
  ["an index", "where age>20", "where age>30", "the index by_email (extra:"],
  ["a view", "WHERE age>60", "WHERE age>65", "the view seniors (extra:"],
  ["a trigger", "age=age", "age=age+1", "the trigger touch (extra:"],
])("%s that differs is named", (_, text, other, expected) => {
  const changed = SAME.replace(text, other);
  expect(changed).not.toBe(SAME);
  const found = findDifferences(read(WANTED), read(changed));
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(expected);
});
