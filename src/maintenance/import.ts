import { mkdtemp, open, rm, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { ZodError, z } from "zod";
import type { Area, IncomingRecord, LineSchema } from "../areas/area.js";
import { expectProject, MAX_NAME_CHARS } from "../areas/arguments.js";
import { transactionExecutor } from "../areas/client-executor.js";
import type { AreaChange, RepositoryContext } from "../areas/context.js";
import { AREAS, selectAreas } from "../areas/registry.js";
import { existingKeys } from "../areas/rows.js";
import { toStorageError } from "../client/storage-error.js";
import { asFileError } from "../files/file-error.js";
import { lazyModule, NEEDED_FOR_ZOD } from "../files/load-module.js";
import { StorageError } from "../shared/errors.js";
import { expectOneOf, expectText } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import { checkLongCall, type LongCallOptions } from "../shared/long-call.js";
import { isTextSource, numberedLines, type TextSource } from "../shared/text-lines.js";
import type { MaintenanceContext } from "./context.js";
import { EXPORT_FORMAT, EXPORT_VERSION } from "./export.js";
import { ImportError, type InvalidLine } from "./import-error.js";

/** The options of `import`. */
export interface ImportOptions extends LongCallOptions {
  /**
   * What becomes of a record whose id the project has already, deleted or not: the one there stays (`skip`), makes way
   * for the one imported (`replace`), or all of the import is refused with CONFLICT. @default "fail"
   */
  readonly onConflict?: "skip" | "replace" | "fail" | undefined;
  /** Whether one bad line refuses all, or is left out and reported in the result. @default "fail" */
  readonly onInvalid?: "fail" | "skip" | undefined;
  /** Imports the records of this project only. @default all of them */
  readonly project?: string | undefined;
  /** Stores all records in this project, whatever project they come from. @default their own */
  readonly intoProject?: string | undefined;
}

/** How many lines an import stored. A conversation is one line with its messages, and a story one with its history. */
export interface ImportResult {
  readonly inserted: number;
  readonly replaced: number;
  readonly skipped: number;
  /** Lines left out; always empty without `onInvalid: "skip"`. */
  readonly invalid: readonly InvalidLine[];
}

/** Records that are looked up together. */
const BATCH_RECORDS = 100;

const headerSchema = z.object({
  format: z.literal(EXPORT_FORMAT),
  version: z.number().int().positive(),
  counts: z.record(z.string(), z.number().int().nonnegative()),
});
/** A line after the header; the schema of its area checks `record`. */
const lineSchema = z.strictObject({ area: z.string(), project: z.string(), record: z.unknown() });

/**
 * Stores what `exportStorage` wrote: all of it in one transaction, or nothing.
 *
 * Reads and checks the whole text before it takes the write lock, so a slow stream blocks no other writer. Until then a
 * temporary file that only this user can read holds the text. Rejects with INVALID_IMPORT, which names every bad line,
 * with CONFLICT for a record that already exists (both with `line`), and with the errors of a write.
 */
export async function importStorage(
  context: MaintenanceContext,
  source: TextSource,
  options: ImportOptions = {},
): Promise<ImportResult> {
  expectKeys("import", options, ["onConflict", "onInvalid", "project", "intoProject", "onProgress", "signal"]);
  expectOneOf("onConflict", options.onConflict ?? "fail", ["skip", "replace", "fail"]);
  expectOneOf("onInvalid", options.onInvalid ?? "fail", ["fail", "skip"]);
  if (options.project !== undefined) expectProject(options.project);
  if (options.intoProject !== undefined) expectText("intoProject", options.intoProject, MAX_NAME_CHARS);
  if (!isTextSource(source)) {
    throw new TypeError("Expected `stream` to be a text, or a stream of strings or bytes");
  }
  checkLongCall(options);
  const spool = await Spool.create();
  try {
    const parse = await loadParse();
    const { invalid, total } = await check(context, parse, source, spool, options);
    if (invalid.length > 0 && options.onInvalid !== "skip") throw new ImportError(invalid);
    return { ...(await store(context, parse, spool, total, options)), invalid };
  } catch (error) {
    throw toStorageError(error);
  } finally {
    await spool.remove();
  }
}

/** Checks a record by the schema of its area, and by the area itself. */
type Parse = (area: Area, context: RepositoryContext, record: unknown) => IncomingRecord;

const loadSchemas = lazyModule(
  () => Promise.all(AREAS.map(async ({ name, loadLine }) => [name, (await loadLine()).line] as const)),
  NEEDED_FOR_ZOD,
);

async function loadParse(): Promise<Parse> {
  const schemas = new Map<string, LineSchema>(await loadSchemas());
  return (area, context, record) => area.parse(context, schemas.get(area.name)!.parse(record));
}

interface ParsedLine {
  readonly area: Area;
  readonly project: string;
  readonly record: unknown;
}

/** Reads everything once, keeps what is sound, and finds all that is not. */
async function check(
  context: MaintenanceContext,
  parse: Parse,
  source: TextSource,
  spool: Spool,
  { project: wanted, intoProject, onProgress, signal }: ImportOptions,
): Promise<{ invalid: InvalidLine[]; total: number }> {
  const invalid: InvalidLine[] = [];
  let counts: Record<string, number> | undefined;
  const found: Record<string, number> = {};
  let total = 0;
  let last = 0;
  for await (const [number, text] of numberedLines(source, { signal })) {
    signal?.throwIfAborted();
    last = number;
    let isSound = false;
    try {
      if (counts === undefined) {
        if (number !== 1) throw new Error("the header was expected on line 1");
        counts = readHeader(text);
        continue;
      }
      const { area, project, record } = readLine(text);
      found[area.name] = (found[area.name] ?? 0) + 1;
      if (wanted !== undefined && project !== wanted) continue;
      parse(area, context.forProject(intoProject ?? project, context.executor), record);
      isSound = true;
    } catch (error) {
      invalid.push({ line: number, message: describe(error) });
      // Without a header, the rest could be anything.
      if (counts === undefined) break;
    }
    if (isSound) {
      await spool.add(`${number} ${text}\n`);
      total++;
    }
    // A stream that has everything at hand would keep the event loop to itself.
    if (number % BATCH_RECORDS === 0) {
      onProgress?.({ phase: "check", done: number, total: sum(counts) + 1 });
      await nextTurn();
    }
  }
  if (counts === undefined && invalid.length === 0) invalid.push({ line: 1, message: "the text is empty" });
  const missing = Object.entries(counts ?? {}).filter(([area, count]) => count !== (found[area] ?? 0));
  if (invalid.length === 0 && missing.length > 0) {
    const list = missing.map(([area, count]) => `${count} ${area}, of which ${found[area] ?? 0} are there`).join(", ");
    invalid.push({
      line: last + 1,
      message: `the text is not whole: its header counts ${list}. Copy or export it again`,
    });
  }
  onProgress?.({ phase: "check", done: last, total: last });
  return { invalid, total };
}

async function store(
  context: MaintenanceContext,
  parse: Parse,
  spool: Spool,
  total: number,
  { onConflict = "fail", intoProject, onProgress, signal }: ImportOptions,
): Promise<Omit<ImportResult, "invalid">> {
  const changes = new Changes();
  const result = { inserted: 0, replaced: 0, skipped: 0 };
  const transaction = await context.client.transaction("write");
  try {
    const executor = transactionExecutor(transaction);
    let done = 0;
    for await (const batch of batches(spool.lines(), intoProject)) {
      signal?.throwIfAborted();
      const { area, project } = batch[0]!;
      const own = context.forProject(project, executor);
      const records = batch.map(({ number, record }) => ({ number, ...parse(area, own, record) }));
      const keys = records.map(({ key }) => key);
      const known = await existingKeys(executor, area.existing, project, keys);
      for (const { number, id, key, statements, replacement } of records) {
        const isKnown = known.has(key);
        if (isKnown && onConflict === "fail") throw conflict(number, area, project, id);
        if (isKnown && onConflict === "skip") {
          result.skipped++;
          continue;
        }
        await atLine(number, async () => {
          if (isKnown && replacement === undefined) await area.remove(own, key);
          await executor.batch((isKnown ? replacement : undefined) ?? statements);
          if (isKnown) await area.settle?.(own, key);
        });
        known.add(key);
        result[isKnown ? "replaced" : "inserted"]++;
        changes.add(project, area, isKnown ? "update" : "insert", id);
      }
      done += batch.length;
      onProgress?.({ phase: "store", done, total });
      await nextTurn();
    }
    signal?.throwIfAborted();
    await transaction.commit();
  } finally {
    transaction.close();
  }
  for (const change of changes.list()) context.announce(change);
  return result;
}

function readHeader(text: string): Record<string, number> {
  const value = JSON.parse(text) as unknown;
  const { version, counts } = headerSchema.parse(value);
  if (version > EXPORT_VERSION) {
    throw new Error(`format version ${version} is newer than this code, which reads up to ${EXPORT_VERSION}`);
  }
  return counts;
}

function readLine(text: string): ParsedLine {
  const { area, project, record } = lineSchema.parse(JSON.parse(text));
  expectProject(project);
  return { area: selectAreas(area)[0]!, project, record };
}

interface NumberedRecord extends ParsedLine {
  readonly number: number;
}

/** Neighbours of one area and project, which can be looked up together. */
async function* batches(
  texts: AsyncIterable<string>,
  intoProject: string | undefined,
): AsyncGenerator<NumberedRecord[]> {
  let batch: NumberedRecord[] = [];
  for await (const text of texts) {
    const space = text.indexOf(" ");
    const line = readLine(text.slice(space + 1));
    const next = { ...line, number: Number(text.slice(0, space)), project: intoProject ?? line.project };
    const [first] = batch;
    const fits = first === undefined || (first.area === next.area && first.project === next.project);
    if (!fits || batch.length === BATCH_RECORDS) {
      yield batch;
      batch = [];
    }
    batch.push(next);
  }
  if (batch.length > 0) yield batch;
}

async function atLine(number: number, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const failure = toStorageError(error);
    if (!(failure instanceof StorageError)) throw failure;
    throw new StorageError(failure.code, `Line ${number}: ${failure.message}. Nothing was imported`, {
      cause: failure.cause ?? failure,
      line: number,
      retryable: failure.retryable,
    });
  }
}

function conflict(number: number, area: Area, project: string, id: string): StorageError {
  const where = `${area.name} of project ${JSON.stringify(project)}`;
  return new StorageError(
    "CONFLICT",
    `Line ${number}: there is ${JSON.stringify(id)} in the ${where} already. Nothing was imported. Set \`onConflict\` to "skip" or "replace"`,
    { line: number },
  );
}

function describe(error: unknown): string {
  if (error instanceof ZodError) {
    const [issue] = error.issues;
    const path = issue!.path.join(".");
    return path === "" ? issue!.message : `${path}: ${issue!.message}`;
  }
  return error instanceof SyntaxError ? "it is not JSON" : (error as Error).message;
}

/** Ids of what was stored, told after the commit. */
class Changes {
  readonly #ids = new Map<string, { change: Omit<AreaChange, "ids">; ids: string[] }>();

  add(project: string, area: Area, action: AreaChange["action"], id: string): void {
    const key = JSON.stringify([project, area.name, action]);
    const known = this.#ids.get(key) ?? { change: { project, area: area.name, action }, ids: [] };
    known.ids.push(id);
    this.#ids.set(key, known);
  }

  list(): AreaChange[] {
    return [...this.#ids.values()].map(({ change, ids }) => ({ ...change, ids }));
  }
}

/** The sound lines, in a file that only this user can read. */
class Spool {
  readonly #folder: string;
  readonly #file: Awaited<ReturnType<typeof open>>;
  #pending: string[] = [];
  #chars = 0;

  private constructor(folder: string, file: Awaited<ReturnType<typeof open>>) {
    this.#folder = folder;
    this.#file = file;
  }

  static async create(): Promise<Spool> {
    return asSpoolErrors(async () => {
      const folder = await mkdtemp(join(tmpdir(), "holdfast-import-"));
      try {
        return new Spool(folder, await open(join(folder, "lines"), "wx+", 0o600));
      } catch (error) {
        await removeFolder(folder);
        throw error;
      }
    });
  }

  async add(text: string): Promise<void> {
    this.#pending.push(text);
    this.#chars += text.length;
    if (this.#chars > 1024 * 1024) await this.#flush();
  }

  async *lines(): AsyncGenerator<string> {
    await this.#flush();
    const stream = this.#file.createReadStream({ start: 0, autoClose: false });
    for await (const [, text] of numberedLines(stream)) yield text;
  }

  async remove(): Promise<void> {
    await this.#file.close();
    await removeFolder(this.#folder);
  }

  async #flush(): Promise<void> {
    // Not `write`, which may write a part of it.
    await asSpoolErrors(() => this.#file.writeFile(this.#pending.join("")));
    this.#pending = [];
    this.#chars = 0;
  }
}

async function asSpoolErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asFileError(error, `Nothing was imported: cannot keep the text in ${tmpdir()} (TMPDIR names another folder)`);
  }
}

/** One by one, which takes no descriptor. What the import gave or threw counts, whether this succeeds or not. */
async function removeFolder(folder: string): Promise<void> {
  try {
    await rm(join(folder, "lines"), { force: true });
    await rmdir(folder);
  } catch {
    // As said above: it is in the system's folder for temporary files.
  }
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
