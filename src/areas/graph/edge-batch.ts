import { sql } from "drizzle-orm";
import { graphEdges, graphNodes } from "../../schema/graph.js";
import type { StorageError } from "../../shared/errors.js";
import { atRecord, isOfRecord } from "../batch.js";
import type { RepositoryContext } from "../context.js";
import type { Executor } from "../executor.js";
import { currentExecutor } from "../optimistic.js";
import { readAll, readByIds } from "../read-all.js";
import { runAll } from "../repository.js";
import { inParts, jsonRows, prepareStatement } from "../statements.js";
import {
  deleteEdgeRow,
  draftToEdge,
  type EdgeDraft,
  edgeColumns,
  edgeOrder,
  edgesWithNodes,
  type GraphEdge,
  insertEdges,
  namingEnds,
  toEdge,
  unknownNode,
} from "./edge.js";

const e = graphEdges;
const n = graphNodes;
const project = sql.placeholder("project");

const selectById = prepareStatement(
  () => sql`select ${edgeColumns} from ${edgesWithNodes} where e.project = ${project}
  and e.id in (select value from json_each(${sql.placeholder("ids")})) order by ${edgeOrder}`,
);
const selectByEnds = prepareStatement(
  () => sql`select ${edgeColumns} from ${jsonRows("rows")} as j
  cross join ${n} as f on f.project = ${project} and f.id = j.value ->> 0
  cross join ${n} as t on t.project = ${project} and t.id = j.value ->> 1
  cross join ${e} as e on e.from_row = f.row_id and e.to_row = t.row_id and e.type = j.value ->> 2
  order by ${edgeOrder}`,
);
const selectNodeIds = prepareStatement(
  () => sql`select ${n.id} from ${n} where ${n.project} = ${project}
  and ${n.id} in (select value from json_each(${sql.placeholder("ids")})) order by ${n.id}`,
);

/** The result of `addEdges` where edges were taken. */
interface AddedOver {
  /** For each draft. */
  readonly edges: GraphEdge[];
  readonly inserted: string[];
  readonly updated: string[];
  /** Replaced by an edge with another id. */
  readonly deleted: string[];
}

/** Edges that are stored or about to be: by id, and by ends and type. */
class EdgeTable {
  readonly byId = new Map<string, GraphEdge>();
  readonly #byEnds = new Map<string, Set<string>>();

  add(edge: GraphEdge): void {
    this.byId.set(edge.id, edge);
    const ends = endsOf(edge);
    this.#byEnds.set(ends, (this.#byEnds.get(ends) ?? new Set()).add(edge.id));
  }

  remove(edge: GraphEdge): void {
    this.byId.delete(edge.id);
    this.#byEnds.get(endsOf(edge))?.delete(edge.id);
  }

  hasEndsOf(draft: EdgeDraft): boolean {
    return (this.#byEnds.get(endsOf(draft))?.size ?? 0) > 0;
  }

  /** The edges in the way of a draft: that of its id, and one of its ends and type unless it is parallel. */
  takenBy(draft: EdgeDraft): GraphEdge[] {
    const own = this.byId.get(draft.id);
    const [other] = draft.parallel ? [] : (this.#byEnds.get(endsOf(draft)) ?? []);
    const equal = other === undefined || other === draft.id ? undefined : this.byId.get(other);
    return [own, equal].filter((edge) => edge !== undefined);
  }
}

/** Holds the lock, so that the stored edges cannot change. The caller announces the changes. */
export function addEdgesOver(
  context: RepositoryContext,
  drafts: readonly EdgeDraft[],
  hasOwnId: readonly boolean[],
  onConflict: "skip" | "replace",
): Promise<AddedOver> {
  return context.executor.atomically(async (locked) => {
    const before = await readEdges(context, locked, drafts);
    const table = await readEdges(context, locked, drafts);
    /** The edges to store, by id, each with the index of its draft. */
    const due = new Map<string, { readonly draft: EdgeDraft; readonly index: number }>();
    const ids = drafts.map((draft, index) => {
      const taken = table.takenBy(draft);
      const [first] = taken;
      if (first !== undefined && onConflict === "skip") return first.id;
      for (const edge of taken) {
        table.remove(edge);
        due.delete(edge.id);
      }
      const id = first === undefined || hasOwnId[index] ? draft.id : first.id;
      // Others between the same nodes stay, as parallel ones.
      const own = { ...draft, id, parallel: draft.parallel || table.hasEndsOf(draft) };
      table.add(draftToEdge(own));
      due.set(id, { draft: own, index });
      return id;
    });
    const gone = [...before.byId.keys()].filter((id) => !table.byId.has(id) || due.has(id));
    await storeDue(context, locked, gone, [...due.values()], drafts);
    // A later draft may have taken the edge of an earlier one, and given it another id.
    const edges = drafts.map(
      (draft, index) => table.byId.get(ids[index]!) ?? table.takenBy({ ...draft, parallel: false })[0]!,
    );
    return {
      edges,
      inserted: [...due.keys()].filter((id) => !before.byId.has(id)),
      updated: [...due.keys()].filter((id) => before.byId.has(id)),
      deleted: gone.filter((id) => !due.has(id)),
    };
  });
}

async function storeDue(
  context: RepositoryContext,
  locked: Executor,
  gone: readonly string[],
  due: readonly { readonly draft: EdgeDraft; readonly index: number }[],
  drafts: readonly EdgeDraft[],
): Promise<void> {
  const statements = [
    ...gone.map((id) => deleteEdgeRow({ project: context.project, id })),
    ...insertEdges(
      context,
      due.map(({ draft }) => draft),
    ),
  ];
  try {
    await namingEnds(() => runAll(locked, statements));
  } catch (error) {
    if (!isOfRecord(error)) throw error;
    throw await atUnknownNode(context, locked, error, drafts).catch(() => error);
  }
}

/** Adds the place of the first edge that is taken, or whose node is missing. */
export async function atFailedEdge(
  context: RepositoryContext,
  error: StorageError,
  drafts: readonly EdgeDraft[],
): Promise<unknown> {
  const executor = currentExecutor(context.executor);
  try {
    if (error.code === "FOREIGN_KEY") return await atUnknownNode(context, executor, error, drafts);
    const table = await readEdges(context, executor, drafts);
    for (const [index, draft] of drafts.entries()) {
      if (table.takenBy(draft).length > 0) return atRecord(error, { index, id: draft.id });
      table.add(draftToEdge(draft));
    }
    return error;
  } catch {
    // If this read fails, the error of the batch is still the one to report.
    return error;
  }
}

/** The error with the place of the first edge whose node is missing, and that node. */
async function atUnknownNode(
  { project }: RepositoryContext,
  executor: Executor,
  error: StorageError,
  drafts: readonly EdgeDraft[],
): Promise<unknown> {
  const ids = [...new Set(drafts.flatMap(({ from, to }) => [from, to]))];
  const rows = await readByIds(executor, ids, (part) => selectNodeIds({ project, ids: part }));
  const known = new Set(rows.map((row) => row[0]));
  const index = drafts.findIndex(({ from, to }) => !known.has(from) || !known.has(to));
  if (index < 0) return error;
  const draft = drafts[index]!;
  const end = known.has(draft.from) ? "to" : "from";
  return atRecord(unknownNode(end, draft[end], error.cause), { index, id: draft.id });
}

/** The stored edges that could be in the way of drafts. */
async function readEdges(
  { project }: RepositoryContext,
  executor: Executor,
  drafts: readonly EdgeDraft[],
): Promise<EdgeTable> {
  const table = new EdgeTable();
  const statements = [
    ...inParts(
      drafts.map(({ id }) => [id]),
      (part) => selectById({ project, ids: JSON.stringify(part.flat()) }),
    ),
    ...inParts(
      drafts.map(({ from, to, type }) => [from, to, type]),
      (part) => selectByEnds({ project, rows: JSON.stringify(part) }),
    ),
  ];
  for (const statement of statements) {
    for (const row of await readAll(executor, statement)) table.add(toEdge(row));
  }
  return table;
}

function endsOf({ from, to, type }: Pick<GraphEdge, "from" | "to" | "type">): string {
  return JSON.stringify([from, to, type]);
}
