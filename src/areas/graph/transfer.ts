import type { Row } from "@libsql/client";
import { sql } from "drizzle-orm";
import { graphEdges, graphNodes } from "../../schema/graph.js";
import { StorageError } from "../../shared/errors.js";
import { expectation } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectFailure, isTextSource, type LineSource, numberedLines } from "../../shared/text-lines.js";
import { toMillis } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import type { Executor } from "../executor.js";
import { readAll } from "../read-all.js";
import { forStored } from "../repair.js";
import { announce } from "../repository.js";
import { prepareStatement, type Statement, selection } from "../statements.js";
import {
  type EdgeDraft,
  type EdgeEnds,
  edgeParts,
  edgesWithNodes,
  type GraphEdgeInput,
  insertEdges,
  namingEnds,
  toEdge,
  toEdgeDraft,
} from "./edge.js";
import {
  type GraphNodeInput,
  insertNodes,
  type NodeDraft,
  nodeColumns,
  ROWS_PER_STATEMENT,
  toNode,
  toNodeDraft,
} from "./node.js";

/** The number of records that an import has stored. */
export interface GraphImport {
  readonly nodes: number;
  readonly edges: number;
}

const PAGE_ROWS = 500;

const n = graphNodes;
const e = graphEdges;
const project = sql.placeholder("project");
const last = sql.placeholder("last");
const limit = sql.placeholder("limit");

const selectNodePage = prepareStatement(
  () => sql`select ${nodeColumns} from ${n}
  where ${n.project} = ${project} and ${n.id} > ${last} order by ${n.id} limit ${limit}`,
);
/** An edge, and whether there are others of the same ends and type. */
const exported = selection({
  ...edgeParts,
  hasOthers: sql`exists (
    select 1 from ${e} as other where other.from_row = e.from_row and other.to_row = e.to_row and other.type = e.type
      and other.row_id <> e.row_id
  )`,
});
const selectEdgePage = prepareStatement(
  () =>
    sql`select ${exported.columns} from ${edgesWithNodes} where e.project = ${project} and e.id > ${last} order by e.id limit ${limit}`,
);

/** One line of JSON for each node, then one for each edge, in order of their ids; a page of them in memory at a time. */
export async function* exportGraph(context: RepositoryContext): AsyncGenerator<string, void, undefined> {
  const snapshot = await context.executor.snapshot();
  try {
    if (snapshot.isStable) {
      yield* pages(snapshot.executor, (after) => selectNodePage(page(context, after)), nodeLine);
      yield* pages(snapshot.executor, (after) => selectEdgePage(page(context, after)), edgeLine);
      return;
    }
    const everything = { project: context.project, last: "", limit: -1 };
    const [nodes, edges] = await snapshot.executor.batch([selectNodePage(everything), selectEdgePage(everything)]);
    for (const row of nodes!.rows) yield nodeLine(row);
    for (const row of edges!.rows) yield edgeLine(row);
  } finally {
    snapshot.close();
  }
}

function page({ project }: RepositoryContext, after: string) {
  return { project, last: after, limit: PAGE_ROWS };
}

async function* pages(
  executor: Executor,
  select: (after: string) => Statement,
  toLine: (row: Row) => string,
): AsyncGenerator<string, void, undefined> {
  for (let after = ""; ; ) {
    const rows = await readAll(executor, select(after));
    for (const row of rows) yield toLine(row);
    if (rows.length < PAGE_ROWS) return;
    after = rows.at(-1)![0] as string;
  }
}

function nodeLine(row: Row): string {
  return JSON.stringify({ node: toNode(row) });
}

function edgeLine(row: Row): string {
  // Nothing says which one of several equal edges came first, so all of them allow for others.
  const parallel = Number(row[exported.at.hasOthers]) === 1 ? { parallel: true } : {};
  return JSON.stringify({ edge: { ...toEdge(row), ...parallel } });
}

interface Line<T> {
  readonly number: number;
  readonly draft: T;
}

/** Stores all lines of an export, or none of them. */
export async function importGraph(context: RepositoryContext, source: LineSource): Promise<GraphImport> {
  expectFailure(source);
  if (!isTextSource(source)) {
    throw new TypeError(expectation("source", "a text, an iterable of lines, or a stream", source));
  }
  const isStream = typeof source === "object" && ("pipe" in source || "getReader" in source);
  const lines = numberedLines(source, { endsLines: !isStream });
  // Before the transaction: a source that reads from this storage first may need the connection itself.
  const first = await lines.next();
  const ids: string[] = [];
  const work = async (executor: Executor) => {
    const writer = new ImportWriter(context, executor, ids);
    for (let line = first; line.done !== true; line = await lines.next()) await writer.add(...line.value);
    await writer.flush();
    return writer.counts;
  };
  const imported = await context.executor.atomically(work).finally(() => lines.return(undefined));
  announce(context, "graph", "insert", ids);
  return imported;
}

/** Collects nodes or edges, and stores them when there are enough or when the other kind begins. */
class ImportWriter {
  readonly #context: RepositoryContext;
  readonly #executor: Executor;
  readonly #ids: string[];
  #nodes: Line<NodeDraft>[] = [];
  #edges: Line<EdgeDraft>[] = [];
  readonly counts = { nodes: 0, edges: 0 };

  constructor(context: RepositoryContext, executor: Executor, ids: string[]) {
    this.#context = { ...context, repair: forStored(context.repair) };
    this.#executor = executor;
    this.#ids = ids;
  }

  async add(number: number, text: string): Promise<void> {
    try {
      const line = parseLine(text);
      if (line.node !== undefined) {
        if (this.#edges.length > 0) await this.flush();
        this.#nodes.push({ number, draft: toImportedNode(this.#context, line.node as GraphNodeInput) });
      } else {
        if (this.#nodes.length > 0) await this.flush();
        this.#edges.push({ number, draft: toEdgeDraft(this.#context, line.edge as GraphEdgeInput) });
      }
    } catch (error) {
      if (error instanceof StorageError) throw error;
      throw invalidLine(number, error);
    }
    if (this.#nodes.length + this.#edges.length >= ROWS_PER_STATEMENT) await this.flush();
  }

  async flush(): Promise<void> {
    const [nodes, edges] = [this.#nodes, this.#edges];
    this.#nodes = [];
    this.#edges = [];
    this.counts.nodes += nodes.length;
    this.counts.edges += edges.length;
    await this.#store(nodes, (drafts) => insertNodes(this.#context, drafts));
    await this.#store(edges, (drafts) => insertEdges(this.#context, drafts));
  }

  async #store<T extends { readonly id: string }>(
    lines: readonly Line<T>[],
    toStatements: (drafts: readonly T[]) => Statement[],
  ): Promise<void> {
    if (lines.length === 0) return;
    for (const { draft } of lines) this.#ids.push(draft.id);
    try {
      await namingEnds(() => this.#executor.batch(toStatements(lines.map(({ draft }) => draft))));
    } catch (failure) {
      if (!(failure instanceof StorageError) || !["CONFLICT", "FOREIGN_KEY"].includes(failure.code)) throw failure;
      // To find the wrong line, each one is stored by itself. The lines before it are stored, which does no harm: all is undone.
      throw await this.#firstWrong(lines, toStatements, failure);
    }
  }

  async #firstWrong<T extends { readonly id: string }>(
    lines: readonly Line<T>[],
    toStatements: (drafts: readonly T[]) => Statement[],
    failure: StorageError,
  ): Promise<StorageError> {
    for (const { number, draft } of lines) {
      try {
        const edge = "from" in draft ? (draft as unknown as EdgeEnds) : undefined;
        await namingEnds(() => this.#executor.batch(toStatements([draft])), edge);
      } catch (error) {
        return refusedLine(number, error as StorageError);
      }
    }
    return failure;
  }
}

function parseLine(text: string): { readonly node?: unknown; readonly edge?: unknown } {
  const line = JSON.parse(text) as Record<string, unknown>;
  expectKeys("a line", line, ["node", "edge"]);
  if (Object.keys(line).length !== 1) throw new TypeError(expectation("a line", "either a node or an edge", line));
  const [value] = Object.values(line);
  if (typeof value !== "object" || value === null) throw new TypeError(expectation("a line", "an object", value));
  return line;
}

/** Times are text in JSON, and are kept. */
function toImportedNode(context: RepositoryContext, input: GraphNodeInput & { updatedAt?: unknown }): NodeDraft {
  const toDate = (time: unknown) => (typeof time === "string" ? new Date(time) : time);
  const draft = toNodeDraft(context, { ...input, createdAt: toDate(input.createdAt) as Date | undefined });
  if (input.updatedAt === undefined) return draft;
  return { ...draft, updatedAt: Math.max(draft.createdAt, toMillis("updatedAt", toDate(input.updatedAt))) };
}

function invalidLine(line: number, cause: unknown): StorageError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `Line ${line} of the import is not a node or edge: ${why}. Nothing was imported`;
  return new StorageError("INVALID_IMPORT", message, { cause, line });
}

/** A line that is well-formed, but does not fit what is stored. */
function refusedLine(line: number, failure: StorageError): StorageError {
  const { code, table, columns } = failure;
  const why =
    code === "CONFLICT" ? "there is such a node or edge already" : failure.message.replace(/^T(.*)\. .*$/s, "t$1");
  const message = `Line ${line} of the import cannot be stored: ${why}. Nothing was imported`;
  return new StorageError("INVALID_IMPORT", message, { cause: failure, line, table, columns });
}
