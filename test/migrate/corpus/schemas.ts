import { sql } from "drizzle-orm";
import {
  type AnySQLiteColumn,
  blob,
  check,
  foreignKey,
  index,
  integer,
  primaryKey,
  real,
  sqliteTable,
  text,
  unique,
  uniqueIndex,
} from "drizzle-orm/sqlite-core";

type Schema = Record<string, unknown>;

const id = () => integer().primaryKey();
const users = sqliteTable("users", { id: id(), name: text() });
const posts = sqliteTable("posts", { id: id(), title: text(), body: text() });
const pairs = sqliteTable("pairs", { a: integer(), b: integer() }, (t) => [primaryKey({ columns: [t.a, t.b] })]);
const nodes = sqliteTable("nodes", { id: id() });
const userId = () => integer().references(() => users.id);

/**
 * Pairs of schemas, for which drizzle-kit writes the migration from the first to the second, and back, into
 * `generated.json`. Renames are not among them: drizzle-kit asks about them at the terminal.
 */
export const SCHEMAS: Readonly<Record<string, readonly [before: Schema, after: Schema]>> = {
  "add a column": [
    { posts },
    { posts: sqliteTable("posts", { id: id(), title: text(), body: text(), at: integer() }) },
  ],
  "add a NOT NULL column with a default": [
    { posts },
    { posts: sqliteTable("posts", { id: id(), title: text(), body: text(), stars: integer().notNull().default(3) }) },
  ],
  "add a column that refers to a table": [
    { users, posts },
    { users, posts: sqliteTable("posts", { id: id(), title: text(), body: text(), user: userId() }) },
  ],
  "add two columns and an index over them": [
    { posts },
    {
      posts: sqliteTable(
        "posts",
        { id: id(), title: text(), body: text(), a: integer(), b: text().default("b") },
        (t) => [index("posts_ab").on(t.a, t.b)],
      ),
    },
  ],
  "drop a column": [{ posts }, { posts: sqliteTable("posts", { id: id(), title: text() }) }],
  "drop an indexed column": [
    { posts: sqliteTable("posts", { id: id(), title: text(), body: text() }, (t) => [index("posts_body").on(t.body)]) },
    { posts: sqliteTable("posts", { id: id(), title: text() }) },
  ],
  "add a table": [{ users }, { users, posts: sqliteTable("posts", { id: id(), user: userId() }) }],
  "drop a table": [{ users, posts }, { users }],
  "drop a parent and its child": [
    { users, posts: sqliteTable("posts", { id: id(), user: userId() }), log: sqliteTable("log", { line: text() }) },
    { log: sqliteTable("log", { line: text() }) },
  ],
  "make a column NOT NULL": [
    { posts },
    { posts: sqliteTable("posts", { id: id(), title: text().notNull(), body: text() }) },
  ],
  "make a column nullable": [
    { posts: sqliteTable("posts", { id: id(), title: text().notNull(), body: text() }) },
    { posts },
  ],
  "set a default": [
    { posts },
    { posts: sqliteTable("posts", { id: id(), title: text().default("none"), body: text() }) },
  ],
  "set an expression as default": [
    { posts },
    { posts: sqliteTable("posts", { id: id(), title: text().default(sql`(upper('x'))`), body: text() }) },
  ],
  "change the type of a column": [
    { posts: sqliteTable("posts", { id: id(), size: text() }) },
    { posts: sqliteTable("posts", { id: id(), size: integer() }) },
  ],
  "change types to real and blob": [
    { posts: sqliteTable("posts", { id: id(), a: text(), b: text() }) },
    { posts: sqliteTable("posts", { id: id(), a: real(), b: blob() }) },
  ],
  "add a unique index": [
    { posts },
    {
      posts: sqliteTable("posts", { id: id(), title: text(), body: text() }, (t) => [
        uniqueIndex("posts_title").on(t.title),
      ]),
    },
  ],
  "add a unique column and a constraint of two": [
    { posts },
    {
      posts: sqliteTable("posts", { id: id(), title: text().unique(), body: text() }, (t) => [
        unique("posts_both").on(t.title, t.body),
      ]),
    },
  ],
  "drop a unique index": [
    {
      posts: sqliteTable("posts", { id: id(), title: text(), body: text() }, (t) => [
        uniqueIndex("posts_title").on(t.title),
      ]),
    },
    { posts },
  ],
  "add an index": [
    { posts },
    {
      posts: sqliteTable("posts", { id: id(), title: text(), body: text() }, (t) => [index("posts_title").on(t.title)]),
    },
  ],
  "drop an index": [
    {
      posts: sqliteTable("posts", { id: id(), title: text(), body: text() }, (t) => [index("posts_title").on(t.title)]),
    },
    { posts },
  ],
  "change the columns of an index": [
    { posts: sqliteTable("posts", { id: id(), title: text(), body: text() }, (t) => [index("posts_i").on(t.title)]) },
    {
      posts: sqliteTable("posts", { id: id(), title: text(), body: text() }, (t) => [
        index("posts_i").on(t.body, t.title),
      ]),
    },
  ],
  "add a partial index": [
    { posts },
    {
      posts: sqliteTable("posts", { id: id(), title: text(), body: text() }, (t) => [
        uniqueIndex("posts_live").on(t.title).where(sql`body is not null`),
      ]),
    },
  ],
  "drop an index with a rebuild": [
    {
      posts: sqliteTable("posts", { id: id(), title: text(), body: text() }, (t) => [index("posts_title").on(t.title)]),
    },
    { posts: sqliteTable("posts", { id: id(), title: text().notNull(), body: text() }) },
  ],
  "keep an index through a rebuild": [
    {
      posts: sqliteTable("posts", { id: id(), title: text(), body: text() }, (t) => [
        uniqueIndex("posts_title").on(t.title),
      ]),
    },
    {
      posts: sqliteTable("posts", { id: id(), title: text().notNull(), body: text() }, (t) => [
        uniqueIndex("posts_title").on(t.title),
      ]),
    },
  ],
  "add a check": [
    { posts: sqliteTable("posts", { id: id(), size: integer() }) },
    { posts: sqliteTable("posts", { id: id(), size: integer() }, (t) => [check("size_positive", sql`${t.size} > 0`)]) },
  ],
  "drop a check": [
    { posts: sqliteTable("posts", { id: id(), size: integer() }, (t) => [check("size_positive", sql`${t.size} > 0`)]) },
    { posts: sqliteTable("posts", { id: id(), size: integer() }) },
  ],
  "add a foreign key to a column": [
    { users, posts: sqliteTable("posts", { id: id(), user: integer() }) },
    { users, posts: sqliteTable("posts", { id: id(), user: userId() }) },
  ],
  "drop a foreign key": [
    { users, posts: sqliteTable("posts", { id: id(), user: userId() }) },
    { users, posts: sqliteTable("posts", { id: id(), user: integer() }) },
  ],
  "change ON DELETE": [
    { users, posts: sqliteTable("posts", { id: id(), user: userId() }) },
    {
      users,
      posts: sqliteTable("posts", { id: id(), user: integer().references(() => users.id, { onDelete: "cascade" }) }),
    },
  ],
  "rebuild a parent of cascading children": [
    {
      users,
      posts: sqliteTable("posts", { id: id(), user: integer().references(() => users.id, { onDelete: "cascade" }) }),
    },
    {
      users: sqliteTable("users", { id: id(), name: text().notNull() }),
      posts: sqliteTable("posts", { id: id(), user: integer().references(() => users.id, { onDelete: "cascade" }) }),
    },
  ],
  "rebuild a parent and its child": [
    { users, posts: sqliteTable("posts", { id: id(), user: userId() }) },
    {
      users: sqliteTable("users", { id: id(), name: text().notNull() }),
      posts: sqliteTable("posts", { id: id(), user: userId().notNull() }),
    },
  ],
  "rebuild a table that refers to itself": [
    {
      nodes: sqliteTable("nodes", {
        id: id(),
        name: text(),
        parent: integer().references((): AnySQLiteColumn => nodes.id, { onDelete: "cascade" }),
      }),
    },
    {
      nodes: sqliteTable("nodes", {
        id: id(),
        name: text().notNull(),
        parent: integer().references((): AnySQLiteColumn => nodes.id, { onDelete: "cascade" }),
      }),
    },
  ],
  "rebuild a table with AUTOINCREMENT": [
    { posts: sqliteTable("posts", { id: integer().primaryKey({ autoIncrement: true }), title: text() }) },
    { posts: sqliteTable("posts", { id: integer().primaryKey({ autoIncrement: true }), title: text().notNull() }) },
  ],
  "rebuild a table with a text key and a full-text index": [
    { notes: sqliteTable("notes", { id: text().primaryKey(), body: text() }) },
    { notes: sqliteTable("notes", { id: text().primaryKey(), body: text().notNull() }) },
  ],
  "make two columns the primary key": [
    { pairs: sqliteTable("pairs", { a: integer(), b: integer() }) },
    { pairs: sqliteTable("pairs", { a: integer(), b: integer() }, (t) => [primaryKey({ columns: [t.a, t.b] })]) },
  ],
  "add a foreign key of two columns": [
    {
      pairs: sqliteTable("pairs", { a: integer(), b: integer() }, (t) => [primaryKey({ columns: [t.a, t.b] })]),
      uses: sqliteTable("uses", { a: integer(), b: integer() }),
    },
    {
      pairs,
      uses: sqliteTable("uses", { a: integer(), b: integer() }, (t) => [
        foreignKey({ columns: [t.a, t.b], foreignColumns: [pairs.a, pairs.b] }),
      ]),
    },
  ],
  "add a virtual generated column": [
    { posts },
    {
      posts: sqliteTable("posts", {
        id: id(),
        title: text(),
        body: text(),
        size: integer().generatedAlwaysAs(sql`length(body)`, { mode: "virtual" }),
      }),
    },
  ],
  "rebuild with words and signs as names": [
    {
      order: sqliteTable(
        "order",
        { id: id(), group: text(), "two words": text("two words"), größe: text("größe") },
        (t) => [index("order by").on(t.group)],
      ),
    },
    {
      order: sqliteTable(
        "order",
        { id: id(), group: text().notNull(), "two words": text("two words"), größe: text("größe") },
        (t) => [index("order by").on(t.group)],
      ),
    },
  ],
  "do a little of everything": [
    { users, posts },
    {
      users: sqliteTable("users", { id: id(), name: text().notNull(), age: integer() }, (t) => [
        check("of_age", sql`${t.age} >= 18`),
        index("users_name").on(t.name),
      ]),
      labels: sqliteTable("labels", { post: integer().references(() => posts.id) }),
      posts: sqliteTable("posts", {
        id: id(),
        title: text(),
        body: text(),
        pinned: integer({ mode: "boolean" }).notNull().default(false),
      }),
    },
  ],
};
