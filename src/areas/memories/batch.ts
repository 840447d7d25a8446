import { sql } from "drizzle-orm";
import { memories } from "../../schema/memories.js";
import { expectArray } from "../../shared/expectation.js";
import {
  atRecord,
  type BatchOptions,
  batchErrorIn,
  checkEach,
  isOfRecord,
  type OnConflict,
  settleConflicts,
  toOnConflict,
} from "../batch.js";
import type { RepositoryContext } from "../context.js";
import { type Executor, finishing } from "../executor.js";
import { readByIds } from "../read-all.js";
import { announce, runAll } from "../repository.js";
import { prepareStatement, type Statement } from "../statements.js";
import { withDimensions } from "./embeddings.js";
import {
  columns,
  createdThen,
  draftToMemory,
  isLong,
  type Memory,
  type MemoryDraft,
  type MemoryInput,
  memoriesWithVector,
  toDraft,
  toMemory,
  withLongTerms,
} from "./record.js";
import { embeddingStatements, insertRowStatements, insertStatements, replaceStatements } from "./statements.js";

const m = memories;
const selectAnyMany = prepareStatement(
  () => sql`select ${columns} from ${memoriesWithVector}
  where ${m.project} = ${sql.placeholder("project")}
  and ${m.id} in (select value from json_each(${sql.placeholder("ids")})) order by ${m.rowId}`,
);

export async function insertMemories(
  context: RepositoryContext,
  inputs: readonly MemoryInput<object>[],
  options: BatchOptions,
): Promise<Memory[]> {
  expectArray("inputs", inputs, "memories");
  const onConflict = toOnConflict("insertMany", options);
  const drafts = checkEach(inputs, (input) => toDraft(context, input));
  if (!drafts.some(isLong)) return insertDrafts(context, drafts, onConflict);
  return finishing(context.executor, async () =>
    insertDrafts(context, await addLongTerms(context.project, drafts), onConflict),
  );
}

async function insertDrafts(
  context: RepositoryContext,
  drafts: readonly MemoryDraft[],
  onConflict: OnConflict,
): Promise<Memory[]> {
  if (drafts.length === 0) {
    context.executor.assertOutside?.();
    return [];
  }
  if (onConflict !== "fail") return insertOver(context, drafts, onConflict);
  await storeNew(context, drafts);
  announce(
    context,
    "memories",
    "insert",
    drafts.map((draft) => draft.id),
  );
  return drafts.map((draft) => draftToMemory(context.project, draft));
}

async function addLongTerms(project: string, drafts: readonly MemoryDraft[]): Promise<MemoryDraft[]> {
  const made: MemoryDraft[] = [];
  for (const draft of drafts) made.push(await withLongTerms(project, draft));
  return made;
}

/** Holds the write lock, so that the known ids cannot change. */
async function insertOver(
  context: RepositoryContext,
  drafts: readonly MemoryDraft[],
  onConflict: "skip" | "replace",
): Promise<Memory[]> {
  const { project, executor } = context;
  const { known, settled } = await executor.atomically(async (locked) => {
    const known = await findAny(
      project,
      locked,
      drafts.map(({ id }) => id),
    );
    const settled = settleConflicts(drafts, onConflict, known, (draft, earlier) =>
      createdThen(draft, new Date(earlier.createdAt)),
    );
    await storeEach(
      context.project,
      [...settled.values()],
      (draft) =>
        known.has(draft.id)
          ? replaceStatements(context, draft, { dropsVectors: true })
          : insertStatements(context, draft),
      locked,
      drafts,
    );
    return { known, settled };
  });
  const ids = [...settled.keys()];
  for (const action of ["insert", "update"] as const) {
    const changed = ids.filter((id) => known.has(id) === (action === "update"));
    announce(context, "memories", action, changed);
  }
  return drafts.map(({ id }) => {
    const stored = settled.get(id);
    return stored === undefined ? known.get(id)! : draftToMemory(project, stored);
  });
}

/** Those that exist among `ids`, deleted ones too, by id. */
async function findAny(project: string, executor: Executor, ids: readonly string[]): Promise<Map<string, Memory>> {
  const rows = await readByIds(executor, ids, (part) => selectAnyMany({ project, ids: part }));
  return new Map(rows.map((row) => toMemory(project, row)).map((memory) => [memory.id, memory]));
}

/** Stores drafts under new ids, as one batch; a failure names its draft. */
async function storeNew(context: RepositoryContext, drafts: readonly MemoryDraft[]): Promise<void> {
  const { project, executor } = context;
  const rows = insertRowStatements(context, drafts);
  const vectors = drafts.flatMap((draft) =>
    draft.embedding === undefined ? [] : embeddingStatements(context, draft.id, draft.embedding),
  );
  try {
    await runAll(executor, [...rows, ...vectors]);
  } catch (error) {
    if (!isOfRecord(error)) throw error;
    // Nothing is stored. The same as one statement for each draft fails where its draft does.
    await storeEach(project, drafts, (draft) => insertStatements(context, draft), executor);
  }
}

/** Runs the statements of drafts as one batch; a failure names its draft by its place in `all`. */
async function storeEach(
  project: string,
  drafts: readonly MemoryDraft[],
  toStatements: (draft: MemoryDraft) => Statement[],
  executor: Executor,
  all: readonly MemoryDraft[] = drafts,
): Promise<void> {
  const statements = drafts.map(toStatements);
  try {
    await runAll(executor, statements.flat());
  } catch (error) {
    if (!isOfRecord(error)) throw error;
    const owners = statements.flatMap((own, index) => own.map(() => drafts[index]!));
    const draft = owners[batchErrorIn(error)?.statementIndex ?? 0];
    if (draft === undefined) throw error;
    // The later of two with one id is the one that failed.
    const place = all.indexOf(draft);
    const index = place >= 0 ? place : all.findLastIndex(({ id }) => id === draft.id);
    const named = await withDimensions(executor, project, draft.embedding, error);
    throw atRecord(named, { index, id: draft.id });
  }
}
