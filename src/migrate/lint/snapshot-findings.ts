import { finding, type LintFinding, lineOf, type ReadFile } from "./finding.js";

/** The snapshot of one migration. */
export interface TaggedSnapshot {
  readonly tag: string;
  readonly file: ReadFile;
}

/** A column in a snapshot. */
export interface ColumnJson {
  readonly type?: string;
  readonly notNull?: boolean;
  readonly primaryKey?: boolean;
  /** SQL, or a number or boolean. */
  readonly default?: unknown;
}

/** A snapshot of drizzle-kit, as far as it is read here. */
export interface SnapshotJson {
  readonly id?: string;
  readonly prevId?: string;
  /** The snapshots before it, since drizzle-kit 1.0; several after a merge. */
  readonly prevIds?: readonly string[];
  readonly tables?: Readonly<
    Record<string, { readonly name: string; readonly columns: Readonly<Record<string, ColumnJson>> }>
  >;
}

/** An object in a snapshot of drizzle-kit 1.0. */
interface DdlEntry extends ColumnJson {
  readonly entityType: string;
  readonly name: string;
  readonly table?: string;
}

function tablesOf(ddl: readonly DdlEntry[]): NonNullable<SnapshotJson["tables"]> {
  const columnsOf = (table: string) =>
    ddl.filter((one) => one.entityType === "columns" && one.table === table).map((one) => [one.name, one]);
  return Object.fromEntries(
    ddl
      .filter(({ entityType }) => entityType === "tables")
      .map(({ name }) => [name, { name, columns: Object.fromEntries(columnsOf(name)) }]),
  );
}

/** The snapshot before the first one. */
const NONE = "00000000-0000-0000-0000-000000000000";

/** Parses a snapshot; undefined if it is missing or malformed. */
export function parseSnapshot({ text, bytes }: ReadFile): SnapshotJson | undefined {
  if (bytes === undefined) return undefined;
  try {
    const snapshot = JSON.parse(text) as (SnapshotJson & { readonly ddl?: readonly DdlEntry[] }) | null;
    if (snapshot?.ddl === undefined) return snapshot ?? undefined;
    return { ...snapshot, tables: tablesOf(snapshot.ddl) };
  } catch {
    return undefined;
  }
}

/** Reports snapshots that are missing, cannot be read, or do not follow that of the migration before. */
export function* lintSnapshots(snapshots: readonly TaggedSnapshot[]): Generator<LintFinding> {
  let before: { readonly tag: string; readonly id: string | undefined } | undefined;
  const ids = new Set<string | undefined>([NONE]);
  for (const { tag, file } of snapshots) {
    const report = (code: "SNAPSHOT_MISSING" | "SNAPSHOT_INVALID", message: string, line?: number) =>
      finding(file.path, code, message, line);
    const snapshot = parseSnapshot(file);
    if (snapshot === undefined) {
      if (file.bytes === undefined) {
        yield report(
          "SNAPSHOT_MISSING",
          `${tag} has no snapshot, with which drizzle-kit compares the schema. Restore it`,
        );
      } else yield report("SNAPSHOT_INVALID", `The snapshot of ${tag} is not JSON. Restore it`);
      before = undefined;
      continue;
    }
    const { id, prevId, prevIds } = snapshot;
    if (prevIds !== undefined) {
      const lost = prevIds.find((one) => !ids.has(one));
      if (lost !== undefined) {
        const message = `The snapshot of ${tag} follows one that is not here (${lost}). Restore it, or generate ${tag} again`;
        yield report("SNAPSHOT_INVALID", message, lineOf(file.text, lost));
      }
      ids.add(id);
      continue;
    }
    const isFirst = tag === snapshots[0]!.tag;
    const wanted = isFirst ? NONE : before?.id;
    if (wanted !== undefined && prevId !== wanted) {
      const what = isFirst ? "is not the first one" : `does not follow that of ${before!.tag}`;
      const message = `The snapshot of ${tag} ${what}, so it lacks the changes of another migration. Remove ${tag} and generate it again`;
      yield report("SNAPSHOT_INVALID", message, lineOf(file.text, '"prevId"'));
    }
    before = { tag, id };
  }
}
