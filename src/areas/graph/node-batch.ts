import type { StorageError } from "../../shared/errors.js";
import { atRecord, firstTaken, settleConflicts } from "../batch.js";
import type { RepositoryContext } from "../context.js";
import type { Executor } from "../executor.js";
import { currentExecutor } from "../optimistic.js";
import { readByIds } from "../read-all.js";
import { runAll } from "../repository.js";
import {
  draftToNode,
  type GraphNode,
  insertNodes,
  type NodeDraft,
  putNodeStatements,
  selectNodes,
  toNode,
} from "./node.js";

/** The result of `addNodes` where ids were taken. */
interface AddedOver {
  /** For each draft. */
  readonly nodes: GraphNode[];
  readonly inserted: string[];
  readonly updated: string[];
}

/** Holds the lock, so that the stored nodes cannot change. The caller announces the changes. */
export function addNodesOver(
  context: RepositoryContext,
  drafts: readonly NodeDraft[],
  onConflict: "skip" | "replace",
): Promise<AddedOver> {
  return context.executor.atomically(async (locked) => {
    const known = await findNodesById(context, locked, drafts);
    const settled = settleConflicts(drafts, onConflict, known, (draft, earlier) => {
      const createdAt = Number(earlier.createdAt);
      return { ...draft, createdAt, updatedAt: Math.max(createdAt, draft.updatedAt) };
    });
    const inserted = [...settled.values()].filter(({ id }) => !known.has(id));
    const updated = [...settled.values()].filter(({ id }) => known.has(id));
    await runAll(locked, [
      ...insertNodes(context, inserted),
      ...updated.flatMap((draft) => putNodeStatements(context, draft)),
    ]);
    return {
      nodes: drafts.map(({ id }) => {
        const draft = settled.get(id);
        return draft === undefined ? known.get(id)! : draftToNode(draft);
      }),
      inserted: inserted.map(({ id }) => id),
      updated: updated.map(({ id }) => id),
    };
  });
}

/** Adds the place of the first node whose id is taken. */
export async function atTakenNode(
  context: RepositoryContext,
  error: StorageError,
  drafts: readonly NodeDraft[],
): Promise<unknown> {
  // If this read fails, the error of the batch is still the one to report.
  const known = await findNodesById(context, currentExecutor(context.executor), drafts).catch(() => new Map());
  const index = firstTaken(
    drafts.map(({ id }) => id),
    new Set(known.keys()),
  );
  return index === undefined ? error : atRecord(error, { index, id: drafts[index]!.id });
}

async function findNodesById(
  { project }: RepositoryContext,
  executor: Executor,
  drafts: readonly NodeDraft[],
): Promise<Map<string, GraphNode>> {
  const rows = await readByIds(
    executor,
    drafts.map(({ id }) => id),
    (ids) => selectNodes({ project, ids }),
  );
  return new Map(rows.map((row) => toNode(row)).map((node) => [node.id, node]));
}
