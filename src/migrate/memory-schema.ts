import { openNative } from "../client/local/native.js";
import { keyOf, SCHEMA_QUERY, type SchemaObject, toSchema } from "./schema-objects.js";

/**
 * A schema without rows, in memory: what a migration does to it, and whether its objects compile, can be tried out
 * there without the database.
 */
export class MemorySchema {
  readonly #database = openNative(":memory:", {});
  /** The objects that could not be copied, such as a virtual table of a module that is missing here. */
  readonly skipped: SchemaObject[] = [];

  /** Copies a schema. The triggers are left out if `withTriggers` is false. */
  constructor(schema: readonly SchemaObject[] = [], { withTriggers = true }: { withTriggers?: boolean } = {}) {
    this.exec("PRAGMA foreign_keys = OFF");
    // A virtual table makes its own shadow tables, which the schema lists as tables.
    const order = (object: SchemaObject) =>
      isVirtual(object) ? 0 : ["table", "view", "index", "trigger"].indexOf(object.type) + 1;
    const objects = schema.filter(({ name }) => !/^sqlite_/i.test(name)).sort((a, b) => order(a) - order(b));
    let present: ReadonlySet<string> | undefined;
    for (const object of objects) {
      if (object.type === "trigger" && !withTriggers) continue;
      if (!isVirtual(object)) present ??= new Set(this.read().map(keyOf));
      if (present?.has(keyOf(object)) === true) continue;
      try {
        this.exec(object.sql);
      } catch {
        this.skipped.push(object);
      }
    }
  }

  exec(sql: string): void {
    this.#database.exec(sql);
  }

  query(sql: string): unknown[][] {
    return this.#database.prepare(sql).raw(true).all([]) as unknown[][];
  }

  read(): SchemaObject[] {
    return toSchema(this.query(SCHEMA_QUERY));
  }

  close(): void {
    this.#database.close();
  }
}

function isVirtual({ type, sql }: SchemaObject): boolean {
  return type === "table" && /^CREATE\s+VIRTUAL\b/i.test(sql);
}
