// The process that reads a damaged file and writes a new one. The process that asked has neither open.
import { copyFileSync } from "node:fs";
import { ClientExecutor } from "../areas/client-executor.js";
import { Connection } from "../client/local/connection.js";
import { openLocalClient } from "../client/local/open-local.js";
import { quoteName } from "../client/sql/quote.js";
import { toStorageError } from "../client/storage-error.js";
import { unlessMissing } from "../files/file-error.js";
import { removeDatabase } from "../files/place-file.js";
import { migrate } from "../migrate/index.js";
import { loadJournal } from "../migrate/journal.js";
import { resolveJournalOptions } from "../migrate/options.js";
import { compareWithLedger } from "../migrate/plan.js";
import { OWN_MIGRATIONS } from "../schema/own-migrations.js";
import { environmentKey } from "../shared/environment.js";
import { StorageError } from "../shared/errors.js";
import { answerParent } from "./answer-parent.js";
import { reindexTables } from "./reindex.js";
import { Copier, type CopyResult, type NotSaved } from "./salvage/copy.js";
import { makeOthers } from "./salvage/others.js";
import { openEncryptedPages, openFilePages, type Pages } from "./salvage/pages.js";
import { repairCopy } from "./salvage/repair.js";
import { type OwnObject, readSchema, type SchemaObject, settleNames } from "./salvage/schema.js";
import { Trees } from "./salvage/trees.js";

/** The parent's order; the key of an encrypted file is in the environment. */
export interface SalvageOrder {
  readonly source: string;
  /** The new file; there is none yet. */
  readonly target: string;
}

/** How many rows of a table were saved and lost. */
export interface SalvagedTable {
  readonly table: string;
  /** Rows of the new file. */
  readonly saved: number;
  /** So many rows of the old one at least are not in the new one. */
  readonly lost: number;
  /** So many at most; null where damage has hit all that tells. */
  readonly lostAtMost: number | null;
}

/** The answers. */
export type SalvageMessage =
  | { readonly phase: string; readonly done: number; readonly total: number }
  | {
      readonly tables: readonly SalvagedTable[];
      readonly notSaved: readonly NotSaved[];
    }
  | { readonly error: { readonly code: string; readonly message: string } };

/** How far the clock of another machine may be ahead. */
const DAY_MS = 86_400_000;
const DAMAGED_SCHEMA: NotSaved = {
  name: "sqlite_schema",
  reason: "part of it cannot be read, so tables, indexes, views and triggers of your own may be missing",
};

const encryptionKey = environmentKey();
let order: SalvageOrder;
let say: (message: SalvageMessage) => void;

export const answerSalvage = (asked: SalvageOrder) =>
  answerParent<SalvageOrder, SalvageMessage>(asked, async (given, answer) => {
    [order, say] = [given, answer];
    try {
      await salvage();
    } catch (error) {
      const failure = toStorageError(error);
      const code = failure instanceof StorageError ? failure.code : "IO";
      say({ error: { code, message: (failure as Error).message } });
    }
  });

async function salvage(): Promise<void> {
  const { pages, discard } = await openPages();
  try {
    const trees = new Trees(pages);
    trees.skipFreePages();
    const { objects: found, isWhole } = readSchema(trees);
    const own = OWN_MIGRATIONS.ownTables;
    if (found.length === 0 && [...trees.strayLeaves()].length === 0) {
      throw new StorageError("NOT_A_DATABASE", `${order.source} holds no page of a database`);
    }
    const made = await ownObjects();
    const named = settleNames(found, made);
    const hasOwn = !isWhole || named.some(({ type, name }) => type === "table" && own.includes(name));
    const objects = hasOwn ? named : settleNames(found, new Map());
    const known = hasOwn ? made : new Map<string, OwnObject>();
    if (hasOwn) await makeTables(trees, objects);
    const copied = withTargetConnection((target) => {
      const report = (rows: number) => say({ phase: "copy", done: rows, total: rows });
      return new Copier(trees, objects, known, target, report).copy(hasOwn ? own : [], isWhole);
    });
    if (hasOwn) await settle(copied);
    // Texts of full-text tables have been passed already, so the trees are read from their beginning.
    const others = withTargetConnection((target) => makeOthers(new Trees(pages), objects, target, known));
    const notSaved = [...copied.notSaved, ...others, ...(isWhole ? [] : [DAMAGED_SCHEMA])];
    say({ tables: countTables(copied), notSaved });
  } finally {
    pages.close();
    await discard();
  }
}

async function openPages(): Promise<{ pages: Pages; discard: () => Promise<void> }> {
  const { source, target } = order;
  if (encryptionKey === undefined) return { pages: openFilePages(source), discard: async () => undefined };
  const copy = `${target}.source`;
  const discard = () => removeDatabase(copy);
  try {
    // The log first: frames that SQLite moves into the file in between are then in both copies.
    copyLog(source, copy);
    copyFileSync(source, copy);
    return { pages: openEncryptedPages(copy, encryptionKey), discard };
  } catch (error) {
    await discard();
    throw error;
  }
}

/** Most files have no log, and one may vanish at any moment, when another process closes the database. */
function copyLog(source: string, copy: string): void {
  try {
    copyFileSync(`${source}-wal`, `${copy}-wal`);
  } catch (error) {
    unlessMissing(error);
  }
}

/**
 * In the version of the file, so that what later migrations do to rows is done to these as well; where the ledger is
 * damaged, in the present one.
 */
async function makeTables(trees: Trees, objects: readonly SchemaObject[]): Promise<void> {
  const ledger = objects.find(({ type, name }) => type === "table" && name === "__drizzle_migrations");
  const entries = loadJournal(resolveJournalOptions("salvage", OWN_MIGRATIONS));
  const newest = Math.max(...entries.map(({ when }) => when));
  let isWhole = ledger !== undefined;
  const damaged = () => {
    isWhole = false;
  };
  const rows = [];
  for (const { values } of ledger === undefined ? [] : trees.rows(ledger.root, "table", damaged)) {
    const [, hash, when] = values ?? [];
    const isTime = typeof when === "bigint" && when > 0n && when <= BigInt(Date.now()) + BigInt(DAY_MS);
    if (typeof hash === "string" && /^[0-9a-f]{64}$/.test(hash) && isTime) rows.push({ hash, when: Number(when) });
    else damaged();
  }
  const { last, unknown } = compareWithLedger(entries, rows);
  if (unknown.some(({ when }) => when > newest)) {
    throw new StorageError(
      "MIGRATION_UNKNOWN",
      `${order.source} was written by a newer version of Holdfast. Salvage it with that version`,
    );
  }
  const to = isWhole && unknown.length === 0 && last !== undefined ? { to: last.tag } : {};
  await withTarget((client) => migrate(client, { ...OWN_MIGRATIONS, ...to }));
}

/** All that the migrations make; what the file says of it may have been read in part only. */
async function ownObjects(): Promise<Map<string, OwnObject>> {
  const client = openLocalClient({ url: ":memory:" }, { path: "file::memory:", isMemory: true });
  try {
    await migrate(client, OWN_MIGRATIONS);
    const { rows } = await client.execute(`SELECT name, type, tbl_name,
      (SELECT json_group_array(c.name) FROM pragma_table_xinfo(s.name) AS c) AS columns FROM sqlite_schema AS s`);
    return new Map(
      rows.map((row) => [
        String(row.name),
        {
          type: String(row.type) as OwnObject["type"],
          table: String(row.tbl_name),
          columns: JSON.parse(String(row.columns)) as string[],
        },
      ]),
    );
  } finally {
    await client.close();
  }
}

function withTargetConnection<T>(work: (target: Connection) => T): T {
  const options = { statementCacheSize: 100, ...(encryptionKey === undefined ? {} : { encryptionKey }) };
  const target = Connection.open(order.target, options, [
    "PRAGMA synchronous = OFF",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA journal_mode = WAL",
  ]);
  try {
    return work(target);
  } finally {
    target.close();
  }
}

async function settle({ conversationIds }: CopyResult): Promise<void> {
  await withTarget(async (client) => {
    await migrate(client, OWN_MIGRATIONS);
    const executor = new ClientExecutor(client, () => undefined);
    await client.execute("PRAGMA foreign_keys = OFF");
    say({ phase: "verify", done: 0, total: 1 });
    await repairCopy(executor, conversationIds);
    say({ phase: "verify", done: 1, total: 1 });
    say({ phase: "full text", done: 0, total: 1 });
    await reindexTables({ client, executor }, {});
    say({ phase: "full text", done: 1, total: 1 });
  });
}

function countTables({ tables }: CopyResult): SalvagedTable[] {
  return withTargetConnection((target) => {
    // One file, complete by itself.
    target.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    return tables.map(({ name, least, most }) => {
      const saved = Number(target.query(`SELECT count(*) FROM ${quoteName(name)}`)[0]![0]);
      const lost = Math.max(0, least - saved);
      return {
        table: name,
        saved,
        lost,
        lostAtMost: most === null ? null : Math.max(lost, most - saved),
      };
    });
  });
}

async function withTarget<T>(work: (client: ReturnType<typeof openLocalClient>) => Promise<T>): Promise<T> {
  const config = { url: `file:${order.target}`, durability: "relaxed" as const };
  const client = openLocalClient(
    { ...config, ...(encryptionKey === undefined ? {} : { encryptionKey }) },
    { path: order.target, isMemory: false },
  );
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}
