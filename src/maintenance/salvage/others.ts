import type { Connection } from "../../client/local/connection.js";
import type { NativeValue } from "../../client/local/native.js";
import { parseStatement } from "../../client/sql/parse.js";
import { quoteName } from "../../client/sql/quote.js";
import { probes } from "../../migrate/compile.js";
import { isFullText } from "../../migrate/full-text.js";
import { isRowFault, type NotSaved } from "./copy.js";
import { columnsOf, isVirtual, keepsItsText, make, type SchemaObject } from "./schema.js";
import { BAD_TEXT, type Trees } from "./trees.js";

/**
 * Makes the indexes, full-text tables, views and triggers of the caller's, and tells which could not be made.
 *
 * Last of all, so that a damaged trigger fails no write of the salvage, and in this order, since each kind may need those
 * before it.
 */
export function makeOthers(
  trees: Trees,
  objects: readonly SchemaObject[],
  target: Connection,
  own: ReadonlyMap<string, unknown>,
): NotSaved[] {
  const notSaved: NotSaved[] = [];
  const present = new Set(target.query("SELECT name FROM sqlite_schema").map(([name]) => String(name)));
  const missing = objects.filter(
    ({ name, sql }) => sql !== "" && !present.has(name) && !own.has(name) && !/^sqlite_/i.test(name),
  );
  for (const kind of ["table", "index", "view", "trigger"]) {
    // The other tables were copied with their rows.
    for (const object of missing.filter(({ type, sql }) => type === kind && (kind !== "table" || isVirtual(sql)))) {
      try {
        makeOther(trees, objects, target, object);
      } catch (error) {
        notSaved.push({ name: object.name, reason: (error as Error).message });
      }
    }
  }
  return notSaved;
}

function makeOther(trees: Trees, objects: readonly SchemaObject[], target: Connection, object: SchemaObject): void {
  const { type, name, sql } = object;
  if (isVirtual(sql) && !isFullText(sql)) {
    throw new Error("only full-text tables of FTS5 are copied among the virtual ones");
  }
  make(target, sql);
  if (isVirtual(sql)) fill(trees, objects, target, object);
  else if (type !== "index") {
    try {
      // SQLite itself looks only when it is used: a trigger that does not compile would fail every write to its table.
      for (const probe of probes(target, object)) target.exec(probe);
    } catch (error) {
      target.exec(`DROP ${type} ${quoteName(name)}`);
      throw error;
    }
  }
}

function fill(trees: Trees, objects: readonly SchemaObject[], target: Connection, { name, sql }: SchemaObject): void {
  const quoted = quoteName(name);
  if (!keepsItsText(sql)) {
    target.exec(`INSERT INTO ${quoted}(${quoted}) VALUES('rebuild')`);
    return;
  }
  const texts = objects.find((object) => object.name === `${name}_content`);
  if (texts === undefined) throw new Error("its texts are lost");
  const columns = columnsOf(target, name).filter(({ name: column }) => column !== name && column !== "rank");
  const all = ["rowid", ...columns.map((column) => quoteName(column.name))];
  const insert = parseStatement(`INSERT INTO ${quoted} (${all.join(", ")}) VALUES (${all.map(() => "?").join(", ")})`);
  for (const { rowId, values } of trees.rows(texts.root, "table", () => undefined)) {
    if (values === undefined || values.length !== all.length || values.includes(BAD_TEXT)) continue;
    try {
      target.execute(insert, [rowId, ...(values.slice(1) as NativeValue[])], "bigint");
    } catch (error) {
      if (!isRowFault(error)) throw error;
    }
  }
}
