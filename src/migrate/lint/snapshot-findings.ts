import { type LintFinding, lineOf, type ReadFile } from "./finding.js";

/** The snapshot of one migration. */
export interface TaggedSnapshot {
  readonly tag: string;
  readonly file: ReadFile;
}

/** A snapshot of drizzle-kit, as far as it is read here. */
export interface SnapshotJson {
  readonly id?: string;
  readonly prevId?: string;
  readonly tables?: Readonly<
    Record<string, { readonly name: string; readonly columns: Readonly<Record<string, unknown>> }>
  >;
}

/** The snapshot before the first one. */
const NONE = "00000000-0000-0000-0000-000000000000";

/** Parses a snapshot; undefined if it is missing or malformed. */
export function parseSnapshot({ text, bytes }: ReadFile): SnapshotJson | undefined {
  if (bytes === undefined) return undefined;
  try {
    return (JSON.parse(text) as SnapshotJson | null) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Reports snapshots that are missing, cannot be read, or do not follow that of the migration before. */
export function* lintSnapshots(snapshots: readonly TaggedSnapshot[]): Generator<LintFinding> {
  let before: { readonly tag: string; readonly id: string | undefined } | undefined;
  for (const { tag, file } of snapshots) {
    const report = (code: "SNAPSHOT_MISSING" | "SNAPSHOT_INVALID", message: string, line = 1): LintFinding => ({
      file: file.path,
      line,
      severity: "error",
      code,
      message,
    });
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
    const { id, prevId } = snapshot;
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
