// Checked by `npm run typecheck`: `storage.db` and `tx.db` know the schema that `openStorage` was given.
import { relations } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import {
  openStorage,
  type Storage,
  type StorageDatabase,
  type StorageOptions,
  type StorageTransaction,
} from "holdfast";
import { memories } from "holdfast/schema";

const notes = sqliteTable("notes", { id: integer().primaryKey(), title: text().notNull() });
const tags = sqliteTable("tags", { name: text().notNull(), noteId: integer().notNull() });
const notesRelations = relations(notes, ({ many }) => ({ tags: many(tags) }));
const tagsRelations = relations(tags, ({ one }) => ({
  note: one(notes, { fields: [tags.noteId], references: [notes.id] }),
}));
const schema = { notes, tags, notesRelations, tagsRelations };

interface Note {
  id: number;
  title: string;
}

const storage = await openStorage({ url: "app.db", schema });
storage satisfies Storage<typeof schema>;
(await storage.db.query.notes.findMany()) satisfies Note[];
(await storage.db.query.notes.findFirst({ with: { tags: true } })) satisfies
  | { title: string; tags: { name: string }[] }
  | undefined;
(await storage.db.select({ id: memories.id }).from(memories)) satisfies { id: string }[];
await storage.db.transaction(async (tx) => (await tx.query.notes.findMany()) satisfies Note[]);
await storage.transaction(async (tx) => {
  tx satisfies StorageTransaction<typeof schema>;
  (await tx.db.query.notes.findMany()) satisfies Note[];
  await tx.savepoint(async (inner) => {
    (await inner.db.query.notes.findMany()) satisfies Note[];
    await inner.savepoint(async (innermost) => (await innermost.db.query.tags.findMany()) satisfies { name: string }[]);
    // @ts-expect-error: a savepoint knows the same tables
    inner.db.query.pages;
  });
  // @ts-expect-error: a transaction knows the same tables
  tx.db.query.pages;
});
// @ts-expect-error: a table that the schema does not have
storage.db.query.pages;
// @ts-expect-error: a column that the table does not have
await storage.db.query.notes.findMany({ columns: { text: true } });
// @ts-expect-error: a relation that the schema does not have
await storage.db.query.tags.findMany({ with: { pages: true } });
// @ts-expect-error: a schema is an object of tables
await openStorage({ url: "app.db", schema: "schema.ts" });

// Without a schema, the type parameter has its default.
for (const plain of [await openStorage(), await openStorage("app.db"), await openStorage({ url: "app.db" })]) {
  plain satisfies Storage;
  plain.db satisfies StorageDatabase;
  // @ts-expect-error: no schema was passed
  plain.db.query.notes;
}
const options: StorageOptions = { url: "app.db", schema };
(await openStorage(options)) satisfies Storage;
// @ts-expect-error: these options do not say which schema they have
(await openStorage(options)).db.query.notes;
(await openStorage({ url: "app.db", schema: undefined })) satisfies Storage;
const typed: StorageOptions<typeof schema> = { url: "app.db", schema };
(await (await openStorage(typed)).db.query.notes.findMany()) satisfies Note[];

// A function that takes a Storage takes one with a schema too.
async function count(any: Storage): Promise<number> {
  await any.transaction(async (tx) => void tx.db);
  return (await any.memories.list()).items.length;
}
await count(storage);
await storage.transaction(async (tx) => {
  const insert = (any: StorageTransaction) => any.memories.insert({ content: "x" });
  await insert(tx);
});
const kept: { storage?: Promise<Storage<typeof schema>> } = {};
kept.storage ??= openStorage({ url: "app.db", schema });
const either: Storage[] = [storage, await openStorage()];
await either[0]?.close();
// @ts-expect-error: a storage without a schema is not one with it
(await openStorage()) satisfies Storage<typeof schema>;
