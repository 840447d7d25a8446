import { rebuildStatements } from "../../support/migrations.js";
import type { SchemaChange } from "./change.js";

const LOG = "CREATE TABLE log (line text)";
const FTS = (table: string, name = `${table}_fts`) => [
  `CREATE VIRTUAL TABLE ${name} USING fts5(body, content='${table}', content_rowid='id', prefix='2 3')`,
  `CREATE TRIGGER ${name}_i AFTER INSERT ON ${table} BEGIN INSERT INTO ${name} (rowid, body) VALUES (new.id, new.body); END`,
  `CREATE TRIGGER ${name}_d AFTER DELETE ON ${table} BEGIN INSERT INTO ${name} (${name}, rowid, body) VALUES ('delete', old.id, old.body); END`,
];
const POSTS = "id integer PRIMARY KEY AUTOINCREMENT, name text, body text, parent integer";
const POSTS_NOT_NULL = POSTS.replace("name text", "name text NOT NULL");
const COLUMNS = ["id", "name", "body", "parent"];
/** The objects of the table `posts`, or of its later name. */
const ON_POSTS = (table = "posts", name = "name") => [
  LOG,
  `CREATE INDEX posts_by_hand ON ${table} (${name}) WHERE ${name} > ''`,
  `CREATE INDEX posts_lower ON ${table} (lower(${name}))`,
  `CREATE VIEW names AS SELECT id, ${name} FROM ${table}`,
  `CREATE TRIGGER posts_new AFTER INSERT ON ${table} BEGIN INSERT INTO log VALUES ('new ' || new.${name}); END`,
  `CREATE TRIGGER posts_name AFTER UPDATE OF ${name} ON ${table} BEGIN INSERT INTO log VALUES (old.${name} || ' to ' || new.${name}); END`,
  `CREATE TRIGGER log_posts AFTER DELETE ON log BEGIN UPDATE ${table} SET body = body WHERE ${name} = old.line; END`,
];
const POST_ROWS = (table = "posts", name = "name") => [
  `INSERT INTO ${table} (id, ${name}, body, parent) VALUES (1, 'one', 'apple', NULL), (2, 'two', 'banana', 1), (9, 'gone', 'cherry', NULL)`,
  `DELETE FROM ${table} WHERE id = 9`,
];
const POST_PROBE = (table = "posts", name = "name") => [
  `INSERT INTO ${table} (${name}, body) VALUES ('probe', 'damson')`,
  `UPDATE ${table} SET ${name} = 'first' WHERE id = 1`,
  "DELETE FROM log WHERE line = 'new two'",
];
const posts = (definition = POSTS, table = "posts") =>
  `CREATE TABLE ${table} (${definition.replace("parent integer", `parent integer REFERENCES ${table}(id)`)})`;
const FTS_NAMES = (table: string) => FTS(table, "posts_fts");

/** Renames, rebuilds, and what they leave behind. */
export const RENAMES: readonly SchemaChange[] = [
  {
    name: "rename a table",
    before: [posts(), ...ON_POSTS(), ...FTS("posts")],
    up: ["ALTER TABLE posts RENAME TO articles"],
    down: ["ALTER TABLE articles RENAME TO posts"],
    after: [posts(POSTS, "articles"), ...ON_POSTS("articles"), ...FTS_NAMES("articles")],
    rows: POST_ROWS(),
    rowsAfter: POST_ROWS("articles"),
    probe: POST_PROBE("articles"),
  },
  {
    name: "rename a column",
    before: [posts(), ...ON_POSTS(), ...FTS("posts")],
    up: ["ALTER TABLE posts RENAME COLUMN name TO full_name"],
    down: ["ALTER TABLE posts RENAME COLUMN full_name TO name"],
    after: [posts(POSTS.replace("name", "full_name")), ...ON_POSTS("posts", "full_name"), ...FTS("posts")],
    rows: POST_ROWS(),
    rowsAfter: POST_ROWS("posts", "full_name"),
    probe: POST_PROBE("posts", "full_name"),
  },
  {
    name: "rename a table and rebuild it",
    before: [posts(), ...ON_POSTS(), ...FTS("posts")],
    up: [
      "ALTER TABLE posts RENAME TO articles",
      ...rebuildStatements(
        "articles",
        POSTS_NOT_NULL.replace("parent integer", "parent integer REFERENCES articles(id)"),
        COLUMNS,
      ),
    ],
    down: [
      ...rebuildStatements(
        "articles",
        POSTS.replace("parent integer", "parent integer REFERENCES articles(id)"),
        COLUMNS,
      ),
      "ALTER TABLE articles RENAME TO posts",
    ],
    after: [posts(POSTS_NOT_NULL, "articles"), ...ON_POSTS("articles"), ...FTS_NAMES("articles")],
    rows: POST_ROWS(),
    rowsAfter: POST_ROWS("articles"),
    probe: POST_PROBE("articles"),
    violating: ["INSERT INTO posts (name) VALUES (NULL)"],
    stock: { fails: true },
  },
  {
    name: "rename a column and rebuild its table",
    before: [posts(), ...ON_POSTS(), ...FTS("posts")],
    up: [
      "ALTER TABLE posts RENAME COLUMN name TO full_name",
      ...rebuildStatements(
        "posts",
        POSTS_NOT_NULL.replace("name", "full_name").replace("parent integer", "parent integer REFERENCES posts(id)"),
        ["id", "full_name", "body", "parent"],
      ),
    ],
    after: [posts(POSTS_NOT_NULL.replace("name", "full_name")), ...ON_POSTS("posts", "full_name"), ...FTS("posts")],
    rows: POST_ROWS(),
    rowsAfter: POST_ROWS("posts", "full_name"),
    probe: POST_PROBE("posts", "full_name"),
    violating: ["INSERT INTO posts (name) VALUES (NULL)"],
    stock: { fails: true },
  },
  {
    name: "rebuild a table, then rename a column and the table",
    before: [posts(), ...ON_POSTS(), ...FTS("posts")],
    up: [
      ...rebuildStatements(
        "posts",
        POSTS_NOT_NULL.replace("parent integer", "parent integer REFERENCES posts(id)"),
        COLUMNS,
      ),
      "ALTER TABLE posts RENAME COLUMN name TO full_name",
      "ALTER TABLE posts RENAME TO articles",
    ],
    after: [
      posts(POSTS_NOT_NULL.replace("name", "full_name"), "articles"),
      ...ON_POSTS("articles", "full_name"),
      ...FTS_NAMES("articles"),
    ],
    rows: POST_ROWS(),
    rowsAfter: POST_ROWS("articles", "full_name"),
    probe: POST_PROBE("articles", "full_name"),
    stock: { fails: true },
  },
  {
    name: "rebuild a table twice",
    before: [posts(), ...ON_POSTS(), ...FTS("posts")],
    up: [
      ...rebuildStatements(
        "posts",
        POSTS_NOT_NULL.replace("parent integer", "parent integer REFERENCES posts(id)"),
        COLUMNS,
      ),
      ...rebuildStatements(
        "posts",
        `${POSTS_NOT_NULL.replace("parent integer", "parent integer REFERENCES posts(id)")}, CHECK (length(name) < 9)`,
        COLUMNS,
      ),
    ],
    after: [posts(`${POSTS_NOT_NULL}, CHECK (length(name) < 9)`), ...ON_POSTS(), ...FTS("posts")],
    rows: POST_ROWS(),
    probe: POST_PROBE(),
    violating: ["INSERT INTO posts (name) VALUES ('more than nine')"],
    stock: { fails: true },
  },
  {
    name: "rename a table in the case of its name",
    before: ["CREATE TABLE posts (id integer PRIMARY KEY, body text)", LOG, ...FTS("posts")],
    up: ["ALTER TABLE posts RENAME TO other", "ALTER TABLE other RENAME TO Posts"],
    down: ["ALTER TABLE Posts RENAME TO other", "ALTER TABLE other RENAME TO posts"],
    after: [
      "CREATE TABLE Posts (id integer PRIMARY KEY, body text)",
      LOG,
      ...FTS("Posts", "posts_fts").map((sql) => sql.replace("content='Posts'", "content='posts'")),
    ],
    rows: ["INSERT INTO posts VALUES (1, 'apple')"],
    probe: ["INSERT INTO posts VALUES (2, 'banana')", "DELETE FROM posts WHERE id = 1"],
  },
  {
    name: "swap two columns by renaming them",
    before: [
      "CREATE TABLE t (a text, b text)",
      LOG,
      "CREATE TRIGGER t_a AFTER UPDATE OF a ON t BEGIN INSERT INTO log VALUES (new.a || new.b); END",
      "CREATE INDEX t_i ON t (a)",
    ],
    up: [
      "ALTER TABLE t RENAME COLUMN a TO c",
      "ALTER TABLE t RENAME COLUMN b TO a",
      "ALTER TABLE t RENAME COLUMN c TO b",
    ],
    down: [
      "ALTER TABLE t RENAME COLUMN a TO c",
      "ALTER TABLE t RENAME COLUMN b TO a",
      "ALTER TABLE t RENAME COLUMN c TO b",
    ],
    after: [
      "CREATE TABLE t (b text, a text)",
      LOG,
      "CREATE TRIGGER t_a AFTER UPDATE OF b ON t BEGIN INSERT INTO log VALUES (new.b || new.a); END",
      "CREATE INDEX t_i ON t (b)",
    ],
    rows: ["INSERT INTO t (a, b) VALUES ('A', 'B')"],
    rowsAfter: ["INSERT INTO t (b, a) VALUES ('A', 'B')"],
    probe: ["UPDATE t SET b = 'x'"],
  },
  {
    name: "swap two tables by renaming them",
    before: [
      "CREATE TABLE a (x text)",
      "CREATE TABLE b (x text)",
      LOG,
      "CREATE TRIGGER a_new AFTER INSERT ON a BEGIN INSERT INTO log VALUES ('a' || new.x); END",
      "CREATE TRIGGER b_new AFTER INSERT ON b BEGIN INSERT INTO log VALUES ('b' || new.x); END",
      "CREATE VIEW v AS SELECT x FROM a",
    ],
    up: ["ALTER TABLE a RENAME TO c", "ALTER TABLE b RENAME TO a", "ALTER TABLE c RENAME TO b"],
    down: ["ALTER TABLE a RENAME TO c", "ALTER TABLE b RENAME TO a", "ALTER TABLE c RENAME TO b"],
    after: [
      "CREATE TABLE b (x text)",
      "CREATE TABLE a (x text)",
      LOG,
      "CREATE TRIGGER a_new AFTER INSERT ON b BEGIN INSERT INTO log VALUES ('a' || new.x); END",
      "CREATE TRIGGER b_new AFTER INSERT ON a BEGIN INSERT INTO log VALUES ('b' || new.x); END",
      "CREATE VIEW v AS SELECT x FROM b",
    ],
    rows: ["INSERT INTO a VALUES ('1')", "INSERT INTO b VALUES ('2')"],
    rowsAfter: ["INSERT INTO b VALUES ('1')", "INSERT INTO a VALUES ('2')"],
    probe: ["INSERT INTO a VALUES ('3')"],
  },
  {
    name: "drop a table and create another of its name",
    before: [
      "CREATE TABLE x (a text, b text)",
      LOG,
      "CREATE TRIGGER x_new AFTER INSERT ON x BEGIN INSERT INTO log VALUES (new.a); END",
      "CREATE INDEX x_a ON x (a)",
    ],
    up: ["DROP INDEX x_a", "DROP TRIGGER x_new", "DROP TABLE x", "CREATE TABLE x (b text)"],
    after: ["CREATE TABLE x (b text)", LOG],
    rows: ["INSERT INTO x VALUES ('a', 'b')"],
    rowsAfter: ["INSERT INTO log VALUES ('a')"],
    probe: ["INSERT INTO x (b) VALUES ('c')"],
    indexesBefore: { x_a: "x" },
    indexesAfter: {},
  },
  {
    name: "rename a table away, make another, and drop the old one",
    before: [
      "CREATE TABLE x (a text)",
      LOG,
      "CREATE TRIGGER x_new AFTER INSERT ON x BEGIN INSERT INTO log VALUES (new.a); END",
    ],
    up: [
      "ALTER TABLE x RENAME TO x_old",
      "CREATE TABLE x (a text NOT NULL)",
      "INSERT INTO x SELECT a FROM x_old",
      "DROP TABLE x_old",
    ],
    after: ["CREATE TABLE x (a text NOT NULL)", LOG],
    rows: ["INSERT INTO x VALUES ('a')"],
    rowsAfter: ["INSERT INTO x VALUES ('a')", "INSERT INTO log VALUES ('a')"],
    probe: ["INSERT INTO x VALUES ('c')"],
    violating: ["INSERT INTO x VALUES (NULL)"],
  },
  {
    name: "leave a view without its table",
    before: ["CREATE TABLE ev (a text)", "CREATE VIEW evs AS SELECT a FROM ev"],
    up: ["DROP TABLE ev"],
    after: [],
    rows: [],
    probe: [],
    refused: "the view evs that no longer works",
  },
  {
    name: "leave a trigger of another table without its table",
    before: [
      "CREATE TABLE ev (a text)",
      LOG,
      "CREATE TRIGGER log_ev AFTER INSERT ON log BEGIN UPDATE ev SET a = a; END",
    ],
    up: ["DROP TABLE ev"],
    after: [],
    rows: [],
    probe: [],
    refused: "the trigger log_ev of log that no longer works",
  },
  {
    name: "leave a foreign key without its parent",
    before: ["CREATE TABLE ev (id integer PRIMARY KEY)", "CREATE TABLE child (ev integer REFERENCES ev(id))"],
    up: ["ALTER TABLE ev RENAME TO ev_old", "CREATE TABLE ev (id integer PRIMARY KEY)", "DROP TABLE ev_old"],
    after: [],
    rows: [],
    probe: [],
    refused: "the foreign key of child to ev_old that no longer works",
  },
  {
    name: "rename a full-text column",
    before: ["CREATE TABLE posts (id integer PRIMARY KEY, body text)", ...FTS("posts")],
    up: ["ALTER TABLE posts RENAME COLUMN body TO content"],
    after: [],
    rows: ["INSERT INTO posts VALUES (1, 'apple')"],
    probe: [],
    refused: "the full-text table posts_fts that no longer works",
  },
  {
    name: "drop a column that a trigger uses, with a rebuild",
    before: [
      "CREATE TABLE t (a text, b text)",
      LOG,
      "CREATE TRIGGER t_new AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.b); END",
    ],
    up: rebuildStatements("t", "a text", ["a"]),
    after: [],
    rows: ["INSERT INTO t VALUES ('a', 'b')"],
    probe: [],
    refused: "loses the trigger t_new by rebuilding a table",
  },
];
