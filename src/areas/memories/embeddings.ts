import { type SQL, sql } from "drizzle-orm";
import { memories, memoryEmbeddings } from "../../schema/memories.js";
import { guardProgress } from "../../shared/callbacks.js";
import { StorageError } from "../../shared/errors.js";
import { expectation, expectFunction, expectInteger } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { checkLongCall } from "../../shared/long-call.js";
import { expectId, expectLimit, toSqlLimit, toStorableVector } from "../arguments.js";
import { batchErrorIn } from "../batch.js";
import type { RepositoryContext } from "../context.js";
import { type Executor, scalar } from "../executor.js";
import { currentExecutor } from "../optimistic.js";
import { halvedUntilItFits } from "../read-all.js";
import { announce, notFound } from "../repository.js";
import { all, returned, selection, set, toStatement } from "../statements.js";
import { type EmbeddingInput, type Memory, memoriesWithVector, memoryColumns, toMemory, toModel } from "./record.js";
import { embeddingStatements } from "./statements.js";

/** Selects vectors by model, and by version if one is named. */
export interface EmbeddingSelector {
  /** The name of the model. */
  readonly model: string;
  /**
   * The version of the model. Without it, `setEmbedding` stores a vector without a version, and the other calls mean the
   * vectors of all versions.
   */
  readonly version?: string | null | undefined;
}

/** Makes one vector for each text, in their order. */
export type ReembedFunction = (
  texts: string[],
  options: { readonly signal: AbortSignal | undefined },
) => Promise<readonly (Float32Array | readonly number[])[]>;

/** The model whose vectors are missing, and how to make them. */
export interface ReembedOptions extends EmbeddingSelector {
  /** Texts per call of the function. @default 64 */
  readonly batchSize?: number | undefined;
  /** Called after each batch. */
  readonly onProgress?: ((progress: ReembedResult) => void) | undefined;
  /** Ends the call early: it rejects with the signal's reason. Stored vectors stay. */
  readonly signal?: AbortSignal | undefined;
}

/** What `reembed` did. */
export interface ReembedResult {
  /** Memories that got their vector in this call. */
  readonly embedded: number;
  /** Memories that still have none of this model. */
  readonly remaining: number;
}

const m = memories;
const e = memoryEmbeddings;
const unembeddedRow = selection({ ...memoryColumns, contentHash: m.contentHash });

export async function storeEmbedding(
  context: RepositoryContext,
  id: string,
  vector: Float32Array | readonly number[],
  selector: EmbeddingSelector,
): Promise<void> {
  expectId(id);
  expectKeys("setEmbedding", selector, ["model", "version"]);
  const embedding = { vector: toStorableVector("vector", vector), ...modelOf(selector) };
  const results = await namingDimensions(context, embedding, () =>
    context.executor.batch(embeddingStatements(context, id, embedding)),
  );
  // The second statement inserts the vector if the memory exists.
  if (results[1]!.rowsAffected === 0) throw notFound(context, "memory", id);
  announce(context, "memories", "update", [id]);
}

export async function unembedded(
  context: RepositoryContext,
  options: EmbeddingSelector & { readonly limit?: number | undefined },
): Promise<Memory[]> {
  expectKeys("unembedded", options, ["model", "version", "limit"]);
  const { limit = 50 } = options;
  expectLimit(limit);
  const rows = await selectUnembedded(context, options, limit);
  return rows.map((row) => toMemory(context.project, row));
}

/**
 * The rows of `unembedded`, each with the stored hash of its content at its end. On another thread, since all memories
 * that have their vector are read before the first that has none.
 */
async function selectUnembedded(context: RepositoryContext, selector: EmbeddingSelector, limit: number) {
  const { rows } = await context.executor.scan(
    toStatement(sql`select ${unembeddedRow.columns} from ${memoriesWithVector}
      where ${isUnembedded(context.project, selector)} order by ${m.createdAt}, ${m.rowId} limit ${toSqlLimit(limit)}`),
  );
  return rows;
}

export async function embedMemories(
  context: RepositoryContext,
  embed: ReembedFunction,
  options: ReembedOptions,
): Promise<ReembedResult> {
  expectFunction("embed", embed);
  expectKeys("reembed", options, ["model", "version", "batchSize", "onProgress", "signal"]);
  const { batchSize = 64, onProgress, signal, model, version } = guardProgress(options);
  expectInteger("batchSize", batchSize, 1);
  if (onProgress !== undefined) expectFunction("onProgress", onProgress);
  checkLongCall({ signal });
  const owner = modelOf(options);
  // Vectors that the last round stored must not be read as missing.
  const current = { ...context, executor: currentExecutor(context.executor) };
  let embedded = 0;
  for (;;) {
    signal?.throwIfAborted();
    const rows = await halvedUntilItFits(batchSize, (limit) => selectUnembedded(current, { model, version }, limit));
    if (rows.length === 0) break;
    const batch = rows.map((row) => toMemory(context.project, row));
    const vectors = await embed(
      batch.map((memory) => memory.content),
      { signal },
    );
    signal?.throwIfAborted();
    if (!Array.isArray(vectors) || vectors.length !== batch.length) {
      throw new TypeError(expectation("the answer of embed", `${batch.length} vectors`, vectors));
    }
    const embeddings = vectors.map((vector) => ({ vector: toStorableVector("vector", vector), ...owner }));
    const statements = batch.flatMap((memory, index) =>
      embeddingStatements(
        context,
        memory.id,
        embeddings[index]!,
        // A memory that has been changed since is embedded in the next round. By the hash as it is stored: that of a
        // content which another program has changed does not fit, and would never be found.
        { contentHash: rows[index]![unembeddedRow.at.contentHash] as string },
      ),
    );
    const results = await context.executor.batch(statements).catch(async (error: unknown) => {
      const failed = embeddings[Math.floor((batchErrorIn(error)?.statementIndex ?? 0) / 3)];
      throw await withDimensions(context.executor, context.project, failed, error);
    });
    // Of the statements for each memory the second inserts the vector, unless the content has changed or gone.
    const ids = batch.filter((_, index) => results[index * 3 + 1]!.rowsAffected > 0).map((memory) => memory.id);
    announce(context, "memories", "update", ids);
    embedded += ids.length;
    if (onProgress !== undefined) onProgress({ embedded, remaining: await countUnembedded(current, options) });
  }
  return { embedded, remaining: await countUnembedded(current, options) };
}

export async function dropModel(context: RepositoryContext, model: string, version?: string): Promise<number> {
  const isDropped = isOfModel(context.project, { model, version });
  // A memory that shows a dropped vector then shows the latest of its other vectors.
  const [changed, dropped] = await context.executor.batch([
    toStatement(
      sql`update ${m} set ${set(
        m.embeddingRowId,
        sql`(select max(${e.rowId}) from ${e} where ${e.memoryRowId} = ${m.rowId} and not (${isDropped}))`,
      )} where ${m.embeddingRowId} in (select ${e.rowId} from ${e} where ${isDropped}) returning ${returned({ id: m.id })}`,
    ),
    toStatement(sql`delete from ${e} where ${isDropped}`),
  ]);
  announce(
    context,
    "memories",
    "update",
    changed!.rows.map((row) => row[0] as string),
  );
  return dropped!.rowsAffected;
}

async function countUnembedded(context: RepositoryContext, selector: EmbeddingSelector): Promise<number> {
  const count = sql`select count(*) from ${m} where ${isUnembedded(context.project, selector)}`;
  return Number(scalar(await context.executor.scan(toStatement(count))));
}

function isUnembedded(project: string, selector: EmbeddingSelector): SQL {
  const has = sql`select 1 from ${memoryEmbeddings} where ${all([isOfModel(project, selector), sql`${e.memoryRowId} = ${m.rowId}`])}`;
  return all([sql`${m.project} = ${project}`, sql`${m.deletedAt} is null`, sql`not exists (${has})`]);
}

/** Runs `work`, which stores `embedding`; where that is refused for its length, the error has the lengths. */
export async function namingDimensions<T>(
  { executor, project }: RepositoryContext,
  embedding: EmbeddingInput | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw await withDimensions(executor, project, embedding, error);
  }
}

/** The error of a refused vector with the lengths, which the trigger that refuses it cannot tell. */
export async function withDimensions(
  executor: Executor,
  project: string,
  embedding: EmbeddingInput | undefined,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof StorageError) || error.code !== "DIMENSION_MISMATCH" || embedding === undefined) return error;
  const { vector, model, version } = embedding;
  try {
    const isStored = all([sql`${e.project} = ${project}`, sql`${e.model} = ${model}`, sql`${e.version} = ${version}`]);
    const { rows } = await executor.execute(
      toStatement(sql`select ${e.dimensions} from ${e} where ${isStored} limit 1`),
    );
    if (rows[0] === undefined) return error;
    const known = rows[0][0];
    const name = `${JSON.stringify(model)}${version === "" ? "" : `, version ${JSON.stringify(version)},`}`;
    const call = [model, ...(version === "" ? [] : [version])].map((text) => JSON.stringify(text)).join(", ");
    const message = `The vectors of ${name} have ${known} dimensions, the one given has ${vector.length}. Name another version, or remove those that are stored with memories.dropModel(${call})`;
    return new StorageError("DIMENSION_MISMATCH", message, { cause: error.cause });
  } catch {
    // The refusal is the error to tell.
    return error;
  }
}

/** Condition on the vectors of a model; of all its versions, where none is named. */
export function isOfModel(project: string, selector: EmbeddingSelector): SQL {
  const { model, version } = modelOf(selector);
  const conditions = [sql`${e.project} = ${project}`, sql`${e.model} = ${model}`];
  if (version !== "") conditions.push(sql`${e.version} = ${version}`);
  return all(conditions);
}

export function modelOf({ model, version }: EmbeddingSelector): { model: string; version: string } {
  return toModel("model", model, "version", version);
}
