import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { StorageError } from "../shared/errors.js";
import { type Journal, type Migration, readText } from "./journal.js";
import type { IndexVerdict } from "./rebuilds.js";
import { fold } from "./schema-objects.js";
import type { Script } from "./script.js";

/** Decides about an index that a rebuild in a script drops and does not create again. */
export type IndexJudge = (index: string, script: Pick<Script, "migration" | "isDown">) => IndexVerdict;

/**
 * Judges by the snapshot that holds after the script: that of its migration, or for a down file that of the migration
 * before. An index in it is kept. An index that is only in other snapshots was removed on purpose, and an index that no
 * snapshot has is handwritten, so it is kept. Snapshots of later migrations say nothing about a script, unless there is
 * no snapshot for that very migration. Without any snapshot, nothing is known.
 *
 * Reads the snapshots when it is first asked.
 */
export function indexJudge(journal: Journal): IndexJudge {
  let snapshots: Snapshots | undefined;
  return (index, { migration, isDown }) => {
    snapshots ??= readSnapshots(journal);
    const { own, others } = snapshots;
    const at = journal.indexOf(migration);
    const after = own[isDown ? at - 1 : at];
    if (after?.has(fold(index)) === true) return "keep";
    const known = [...others, ...own.slice(0, after === undefined ? undefined : at + 1)].filter(
      (one) => one !== undefined,
    );
    if (known.length === 0) return "unknown";
    return known.some((names) => names.has(fold(index))) ? "drop" : "keep";
  };
}

/** The indexes of the migration's own snapshot; undefined if it has none. */
export function indexesAfter(journal: Journal, migration: Migration): Indexes | undefined {
  return readSnapshots(journal).own[journal.indexOf(migration)];
}

/** The names of indexes, in lower case, with their tables. */
type Indexes = ReadonlyMap<string, string>;

/** The indexes by snapshot. */
interface Snapshots {
  /** The snapshot of each migration, in the order of the journal. */
  readonly own: readonly (Indexes | undefined)[];
  /** Those that may be of several migrations, or of one that is not in the journal. */
  readonly others: readonly Indexes[];
}

function readSnapshots(journal: Journal): Snapshots {
  const [first] = journal;
  if (first === undefined || first.code !== undefined) {
    const own = journal.map(({ code }) => (code?.snapshot === undefined ? undefined : indexesOf(code.snapshot)));
    return { own, others: [] };
  }
  if (first.snapshotPath !== undefined) {
    const own = journal.map(({ snapshotPath }) =>
      existsSync(snapshotPath!) ? indexesOf(parseSnapshot(snapshotPath!)) : undefined,
    );
    return { own, others: [] };
  }
  const meta = join(dirname(first.path), "meta");
  const files = readdirSync(meta).filter((name) => name.endsWith(SUFFIX));
  const snapshots = new Map(files.map((file) => [file, indexesOf(parseSnapshot(join(meta, file)))]));
  const names = journal.map(({ tag }) => `${tag.split("_", 1)[0]}${SUFFIX}`);
  // Two branches may have used the same number, and each has overwritten the snapshot of the other.
  const own = names.map((name) => (names.filter((one) => one === name).length === 1 ? snapshots.get(name) : undefined));
  return { own, others: [...snapshots.values()].filter((snapshot) => !own.includes(snapshot)) };
}

const SUFFIX = "_snapshot.json";

interface Snapshot {
  readonly tables?: Record<string, { readonly indexes?: Record<string, unknown> }>;
  /** All objects in one list, since drizzle-kit 1.0. */
  readonly ddl?: readonly { readonly entityType: string; readonly name: string; readonly table?: string }[];
}

function indexesOf({ tables = {}, ddl }: Snapshot): Indexes {
  if (ddl !== undefined) {
    const indexes = ddl.filter(({ entityType }) => entityType === "indexes");
    return new Map(indexes.map(({ name, table }) => [fold(name), table ?? ""]));
  }
  return new Map(
    Object.entries(tables).flatMap(([table, { indexes = {} }]) =>
      Object.keys(indexes).map((index) => [fold(index), table] as const),
    ),
  );
}

function parseSnapshot(path: string): Snapshot {
  const text = readText(path, `No ${path}`);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new StorageError("INVALID", `${path} is not a snapshot of drizzle-kit. Restore it`, { cause: error });
  }
}
