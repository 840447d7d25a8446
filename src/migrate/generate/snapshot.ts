import { join } from "node:path";
import { StorageError } from "../../shared/errors.js";
import { readIfThere } from "./read-if-there.js";

/** The part of drizzle-kit 0.31's `meta/0003_snapshot.json` that is read here. */
export interface Snapshot {
  readonly tables: Tables;
  readonly views: Record<string, unknown>;
  /** The renames of this migration, by names in double quotes: `"notes"."body"` to `"notes"."text"`. */
  readonly _meta?: { readonly columns?: Record<string, string>; readonly tables?: Record<string, string> };
}

export type Tables = Record<string, Table>;

export interface Table {
  readonly name: string;
  readonly columns: Record<string, { readonly name: string; readonly generated?: unknown }>;
  readonly indexes: Record<string, Index>;
  foreignKeys: Record<string, ForeignKey>;
  compositePrimaryKeys: Record<string, { readonly name?: string; readonly columns: string[] }>;
  readonly checkConstraints: Record<string, { readonly value: string }>;
}

export interface Index {
  readonly name: string;
  /** Columns, and expressions in SQL. */
  readonly columns: string[];
  readonly isUnique: boolean;
  readonly where?: string;
}

interface ForeignKey {
  readonly name?: string;
  readonly tableFrom: string;
  readonly tableTo: string;
  readonly columnsFrom: string[];
  readonly columnsTo: string[];
  readonly onDelete?: string;
  readonly onUpdate?: string;
}

export function emptySnapshot(of: Snapshot): Snapshot {
  return { ...of, tables: {}, views: {} };
}

/** The path of the snapshot that drizzle-kit writes with a migration. */
export function snapshotPath(folder: string, tag: string): string {
  return join(folder, "meta", `${tag.split("_")[0]}_snapshot.json`);
}

/** Reads the snapshot that drizzle-kit wrote with a migration. Throws NOT_FOUND. */
export function readSnapshot(folder: string, tag: string): Snapshot {
  const path = snapshotPath(folder, tag);
  const text = readIfThere(path);
  if (text === undefined) {
    throw new StorageError(
      "NOT_FOUND",
      `There is no ${path}, which drizzle-kit creates with each migration. Restore it`,
    );
  }
  return JSON.parse(text);
}
