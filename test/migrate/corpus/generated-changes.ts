import { readFileSync } from "node:fs";
import type { SchemaChange, StockResult } from "./change.js";
import type { GeneratedFile } from "./generate.js";

/** What belongs to a change that drizzle-kit has written, and drizzle-kit does not know. */
interface Extras {
  /** Handwritten objects, before and after the change. */
  readonly objects?: readonly string[];
  /** The same objects after the change, if they differ. */
  readonly objectsAfter?: readonly string[];
  /** The same objects after the change was reverted, if they differ. */
  readonly objectsBack?: readonly string[];
  readonly rows: readonly string[];
  readonly rowsAfter?: readonly string[];
  readonly rowsBack?: readonly string[];
  readonly rowsAgain?: readonly string[];
  readonly probe: readonly string[];
  readonly violating?: readonly string[];
  readonly refused?: string;
  readonly stock?: StockResult;
}

const LOG = "CREATE TABLE log (line text)";
const POST_OBJECTS = [
  LOG,
  "CREATE TRIGGER posts_logged AFTER INSERT ON posts BEGIN INSERT INTO log VALUES ('new ' || new.id || ' ' || new.title); END",
  "CREATE TRIGGER posts_titled AFTER UPDATE OF title ON posts WHEN new.title IS NOT old.title BEGIN INSERT INTO log VALUES (old.title || ' to ' || new.title); END",
  "CREATE TRIGGER log_post AFTER DELETE ON log BEGIN DELETE FROM posts WHERE title = old.line; END",
  "CREATE VIEW titles AS SELECT id, title FROM posts",
  "CREATE VIEW long_titles AS SELECT * FROM titles WHERE length(title) > 3",
  "CREATE TRIGGER titles_insert INSTEAD OF INSERT ON titles BEGIN INSERT INTO posts (id, title) VALUES (new.id, new.title); END",
  "CREATE INDEX posts_by_hand ON posts (title) WHERE title > ''",
];
const POST_SEARCH = [
  "CREATE VIRTUAL TABLE posts_fts USING fts5(title, body, content='posts', content_rowid='id', tokenize='porter unicode61')",
  "CREATE TRIGGER posts_fts_insert AFTER INSERT ON posts BEGIN INSERT INTO posts_fts (rowid, title, body) VALUES (new.id, new.title, new.body); END",
  "CREATE TRIGGER posts_fts_delete AFTER DELETE ON posts BEGIN INSERT INTO posts_fts (posts_fts, rowid, title, body) VALUES ('delete', old.id, old.title, old.body); END",
  "CREATE TRIGGER posts_fts_update AFTER UPDATE ON posts BEGIN INSERT INTO posts_fts (posts_fts, rowid, title, body) VALUES ('delete', old.id, old.title, old.body); INSERT INTO posts_fts (rowid, title, body) VALUES (new.id, new.title, new.body); END",
];
const POST_ROWS = [
  "INSERT INTO posts (id, title, body) VALUES (1, 'one', 'apples and pears'), (2, 'second', 'bananas'), (5, 'fifth', 'cherries')",
  "DELETE FROM posts WHERE id = 2",
];
const POST_PROBE = [
  "INSERT INTO posts (title, body) VALUES ('probe', 'damson')",
  "UPDATE posts SET title = 'renamed' WHERE id = 1",
  "INSERT INTO titles (id, title) VALUES (40, 'by view')",
  "INSERT INTO log VALUES ('fifth')",
  "DELETE FROM log WHERE line = 'fifth'",
];
const ON_POSTS: Extras = {
  objects: [...POST_OBJECTS, ...POST_SEARCH],
  rows: POST_ROWS,
  probe: POST_PROBE,
};
const SIZED: Extras = {
  objects: [
    LOG,
    "CREATE TRIGGER posts_sized AFTER UPDATE OF size ON posts BEGIN INSERT INTO log VALUES (typeof(new.size)); END",
  ],
  rows: ["INSERT INTO posts (id, size) VALUES (1, '12'), (7, 9)"],
  probe: ["UPDATE posts SET size = 13"],
};
const OWNED: Extras = {
  objects: [
    LOG,
    "CREATE TRIGGER posts_gone AFTER DELETE ON posts BEGIN INSERT INTO log VALUES ('gone ' || old.id); END",
    "CREATE TRIGGER users_named AFTER UPDATE OF name ON users BEGIN INSERT INTO log SELECT 'post ' || id FROM posts WHERE user = new.id; END",
    "CREATE VIEW owned AS SELECT p.id, u.name FROM posts p JOIN users u ON u.id = p.user",
  ],
  rows: [
    "INSERT INTO users VALUES (1, 'ann'), (2, 'bob')",
    "INSERT INTO posts (id, user) VALUES (1, 1), (2, 2), (3, 2)",
  ],
  probe: [
    "UPDATE users SET name = 'anna' WHERE id = 1",
    "DELETE FROM posts WHERE id = 3",
    "INSERT INTO posts (user) VALUES (1)",
  ],
};
/** A stock migrator cannot rename a table that a view or a trigger of another table names. */
const FAILS: StockResult = { fails: true };
const withoutOthers = (objects: readonly string[]) =>
  objects.filter((sql) => !/CREATE VIEW|log_post|titles_insert|posts_by_hand/.test(sql));
const PLAIN_POSTS: Extras = {
  objects: withoutOthers(ON_POSTS.objects!),
  rows: POST_ROWS,
  probe: POST_PROBE.filter((sql) => !/titles|log/.test(sql)),
};

const BODY_ROWS = POST_ROWS.map((sql) => sql.replace(", body", "").replaceAll(/, '[^',]*'\)/g, ")"));
const BODY_GONE: Extras = {
  objects: POST_OBJECTS,
  rows: POST_ROWS,
  rowsAfter: BODY_ROWS,
  rowsBack: BODY_ROWS,
  probe: POST_PROBE.map((sql) => sql.replace("(title, body) VALUES ('probe', 'damson')", "(title) VALUES ('probe')")),
};

const EXTRAS: Readonly<Record<string, Extras>> = {
  "add a column": ON_POSTS,
  "add a NOT NULL column with a default": ON_POSTS,
  "add a column that refers to a table": ON_POSTS,
  "add two columns and an index over them": ON_POSTS,
  "drop a column": BODY_GONE,
  "drop an indexed column": BODY_GONE,
  "add a table": {
    objects: [LOG, "CREATE TRIGGER users_new AFTER INSERT ON users BEGIN INSERT INTO log VALUES (new.name); END"],
    rows: ["INSERT INTO users VALUES (1, 'ann')"],
    probe: ["INSERT INTO users VALUES (2, 'bob')", "INSERT INTO posts VALUES (1, 2)"],
  },
  "drop a table": {
    objects: [
      LOG,
      "CREATE TRIGGER posts_new AFTER INSERT ON posts BEGIN INSERT INTO log VALUES (new.title); END",
      "CREATE INDEX posts_by_hand ON posts (title)",
    ],
    objectsAfter: [LOG],
    objectsBack: [LOG],
    rows: ["INSERT INTO posts VALUES (1, 'one', '')"],
    rowsAfter: ["INSERT INTO log VALUES ('one')"],
    rowsBack: ["INSERT INTO log VALUES ('one')"],
    probe: ["INSERT INTO users VALUES (2, 'bob')"],
  },
  "drop a parent and its child": {
    objects: ["CREATE TRIGGER posts_log AFTER INSERT ON posts BEGIN INSERT INTO log VALUES ('post'); END"],
    objectsAfter: [],
    objectsBack: [],
    rows: ["INSERT INTO users VALUES (1, 'ann')", "INSERT INTO posts VALUES (1, 1)"],
    rowsAfter: ["INSERT INTO log VALUES ('post')"],
    rowsBack: ["INSERT INTO log VALUES ('post')"],
    probe: ["INSERT INTO log VALUES ('end')"],
  },
  "make a column NOT NULL": {
    ...ON_POSTS,
    violating: ["INSERT INTO posts (id, title) VALUES (8, NULL), (9, NULL)"],
    stock: FAILS,
  },
  "make a column nullable": {
    ...PLAIN_POSTS,
    probe: [...PLAIN_POSTS.probe, "INSERT INTO posts (title) VALUES ('full')"],
  },
  "set a default": { ...ON_POSTS, probe: [...POST_PROBE, "INSERT INTO posts (id) VALUES (50)"], stock: FAILS },
  "set an expression as default": {
    ...PLAIN_POSTS,
    probe: [...PLAIN_POSTS.probe, "INSERT INTO posts (id) VALUES (50)"],
  },
  "change the type of a column": {
    ...SIZED,
    rowsBack: ["INSERT INTO posts (id, size) VALUES (1, '12'), (7, '9')"],
  },
  "change types to real and blob": {
    objects: [],
    rows: ["INSERT INTO posts VALUES (1, '1.5', 'text'), (2, 'no number', x'00ff')"],
    probe: ["INSERT INTO posts VALUES (3, 2, x'01')"],
  },
  "add a unique index": { ...ON_POSTS, violating: ["INSERT INTO posts (id, title) VALUES (8, 'one')"] },
  "add a unique column and a constraint of two": {
    ...ON_POSTS,
    violating: ["INSERT INTO posts (id, title) VALUES (8, 'one')"],
  },
  "drop a unique index": {
    ...ON_POSTS,
    probe: [...POST_PROBE, "INSERT INTO posts (title) VALUES ('renamed')"],
  },
  "add an index": ON_POSTS,
  "drop an index": ON_POSTS,
  "change the columns of an index": ON_POSTS,
  "add a partial index": {
    ...ON_POSTS,
    violating: ["INSERT INTO posts (id, title, body) VALUES (8, 'one', 'twice')"],
  },
  "drop an index with a rebuild": {
    ...PLAIN_POSTS,
    violating: ["INSERT INTO posts (id, title) VALUES (8, NULL)"],
  },
  "keep an index through a rebuild": {
    ...ON_POSTS,
    violating: ["INSERT INTO posts (id, title) VALUES (8, NULL)"],
    stock: FAILS,
  },
  "add a check": { ...SIZED, violating: ["INSERT INTO posts VALUES (8, -1)"] },
  "drop a check": { ...SIZED, probe: [...SIZED.probe, "INSERT INTO posts VALUES (8, -1)"], rowsBack: SIZED.rows },
  "add a foreign key to a column": { ...OWNED, violating: ["INSERT INTO posts VALUES (8, 77)"], stock: FAILS },
  "drop a foreign key": { ...OWNED, probe: [...OWNED.probe, "INSERT INTO posts VALUES (8, 77)"], stock: FAILS },
  "change ON DELETE": { ...OWNED, probe: [...OWNED.probe, "DELETE FROM users WHERE id = 2"], stock: FAILS },
  "rebuild a parent of cascading children": {
    ...OWNED,
    probe: [...OWNED.probe, "DELETE FROM users WHERE id = 2"],
    violating: ["INSERT INTO users VALUES (8, NULL)"],
    stock: FAILS,
  },
  "rebuild a parent and its child": {
    ...OWNED,
    violating: ["INSERT INTO posts VALUES (8, NULL)"],
    stock: FAILS,
  },
  "rebuild a table that refers to itself": {
    objects: [LOG, "CREATE TRIGGER nodes_gone AFTER DELETE ON nodes BEGIN INSERT INTO log VALUES (old.name); END"],
    rows: ["INSERT INTO nodes VALUES (1, 'root', NULL), (2, 'leaf', 1), (3, 'own', 3)"],
    probe: ["DELETE FROM nodes WHERE id = 1", "INSERT INTO nodes VALUES (9, 'nine', 3)"],
    violating: ["INSERT INTO nodes VALUES (8, NULL, 1)"],
  },
  "rebuild a table with AUTOINCREMENT": {
    objects: [LOG, "CREATE TRIGGER posts_new AFTER INSERT ON posts BEGIN INSERT INTO log VALUES (new.id); END"],
    rows: ["INSERT INTO posts VALUES (1, 'one'), (20, 'twenty')", "DELETE FROM posts WHERE id = 20"],
    probe: ["INSERT INTO posts (title) VALUES ('next')"],
    violating: ["INSERT INTO posts (title) VALUES (NULL)"],
    stock: { loses: ["sequence posts"], losesLater: ["rows log", "rows posts"] },
  },
  "rebuild a table with a text key and a full-text index": {
    objects: [
      "CREATE VIRTUAL TABLE notes_fts USING fts5(body, content='notes')",
      "INSERT INTO notes_fts (notes_fts, rank) VALUES ('secure-delete', 1)",
      "CREATE TRIGGER notes_fts_insert AFTER INSERT ON notes BEGIN INSERT INTO notes_fts (rowid, body) VALUES (new.rowid, new.body); END",
      "CREATE TRIGGER notes_fts_delete AFTER DELETE ON notes BEGIN INSERT INTO notes_fts (notes_fts, rowid, body) VALUES ('delete', old.rowid, old.body); END",
    ],
    rows: [
      "INSERT INTO notes VALUES ('a', 'apple'), ('b', 'banana'), ('c', 'cherry')",
      "DELETE FROM notes WHERE id = 'a'",
    ],
    probe: ["INSERT INTO notes VALUES ('d', 'damson')", "DELETE FROM notes WHERE id = 'b'"],
    violating: ["INSERT INTO notes VALUES ('n', NULL)"],
  },
  "make two columns the primary key": {
    objects: [LOG, "CREATE TRIGGER pairs_new AFTER INSERT ON pairs BEGIN INSERT INTO log VALUES (new.a); END"],
    rows: ["INSERT INTO pairs VALUES (1, 1), (1, 2)"],
    probe: ["INSERT INTO pairs VALUES (2, 2)"],
    violating: ["INSERT INTO pairs VALUES (1, 2)"],
  },
  "add a foreign key of two columns": {
    objects: [],
    rows: ["INSERT INTO pairs VALUES (1, 1), (1, 2)", "INSERT INTO uses VALUES (1, 2), (NULL, 7)"],
    probe: ["INSERT INTO uses VALUES (1, 1)"],
    violating: ["INSERT INTO uses VALUES (2, 1)"],
    stock: { accepts: true },
  },
  "add a virtual generated column": { ...ON_POSTS, rows: POST_ROWS },
  "rebuild with words and signs as names": {
    objects: [
      LOG,
      'CREATE TRIGGER "order ""new""" AFTER INSERT ON "order" BEGIN INSERT INTO log VALUES (new."group" || new."two words" || new."größe"); END',
      'CREATE INDEX [by hand] ON "order" ("größe") WHERE "two words" IS NOT NULL',
    ],
    rows: [`INSERT INTO "order" VALUES (1, 'it''s', '"two"', 'große Größe')`],
    probe: [`INSERT INTO "order" VALUES (2, 'b', 'c', 'd')`],
    violating: [`INSERT INTO "order" ("group") VALUES (NULL)`],
    stock: { loses: ["index by hand"] },
  },
  // drizzle-kit selects a new column from the old table if a rebuild also adds columns.
  "do a little of everything": {
    rows: ["INSERT INTO users VALUES (1, 'ann')", "INSERT INTO posts (id, title) VALUES (1, 'one')"],
    probe: [],
    refused: "no such column: age",
  },
};

const { changes } = JSON.parse(readFileSync(new URL("generated.json", import.meta.url), "utf8")) as GeneratedFile;

/** The changes that drizzle-kit has written, with what belongs to them. */
export const GENERATED_CHANGES: readonly SchemaChange[] = Object.entries(EXTRAS).map(([name, extras]) => {
  const { objects = [], objectsAfter = objects, objectsBack, ...rest } = extras;
  const { before, up, down, after, ...indexes } = changes[name]!;
  return {
    name,
    before: [...before, ...objects],
    up,
    down,
    after: [...after, ...objectsAfter],
    ...(objectsBack === undefined ? {} : { back: [...before, ...objectsBack] }),
    ...indexes,
    ...rest,
  };
});
