import type { Client } from "@libsql/client";
import { sql } from "drizzle-orm";
import type { Reader } from "../areas/area.js";
import { scalar } from "../areas/executor.js";
import { AREAS, areasIn } from "../areas/registry.js";
import { toStatement } from "../areas/statements.js";
import { quoteName } from "../client/sql/quote.js";
import { toStorageError } from "../client/storage-error.js";
import { describe, findBroken } from "../migrate/compile.js";
import { findMissingObjects, type JournalOptions, status, verify } from "../migrate/index.js";
import { describeLacking, findMissingSchema } from "../migrate/lacking.js";
import { assertFits } from "../migrate/migrate.js";
import { findMissingIndexes } from "../migrate/missing-indexes.js";
import { unfitMessage } from "../migrate/missing-objects.js";
import { mentions, SCHEMA_QUERY, type SchemaObject, toSchema } from "../migrate/schema-objects.js";
import { StorageError } from "../shared/errors.js";
import type { Finding, FindingCode } from "./findings.js";
import { compareWithContent, findContentIndexes } from "./full-text-check.js";

/** The steps of a check in order. If the process ends in one of them, another process continues with the next. */
export const PHASES = [
  "integrity",
  "foreign keys",
  "migrations",
  "triggers",
  "full text",
  "checksums",
  "space",
] as const;
export type Phase = (typeof PHASES)[number];

/** Migrations to compare the database with. */
export interface CheckedSet {
  readonly set: JournalOptions;
  /** Whether the database may be without them: then they are not checked. */
  readonly isOptional: boolean;
  /** Whether they may be pending: then that is only an info, and they are tried on the schema. */
  readonly mayBePending: boolean;
}

export interface InspectOptions {
  readonly deep: boolean;
  readonly migrations: readonly CheckedSet[];
  readonly phases: readonly Phase[];
  /** Runs `work` on one snapshot of the database. */
  readonly snapshot: <T>(work: (reader: Reader) => Promise<T>) => Promise<T>;
  readonly onPhase: (phase: Phase, done: number, total: number) => void;
}

/** The most lines of `integrity_check`, and records with a wrong checksum, that are shown. */
const MOST_SHOWN = 20;

/** Checks a readable database and yields the findings one by one. Changes nothing. */
export async function* inspect(options: InspectOptions): AsyncGenerator<Finding> {
  for (const phase of options.phases) {
    options.onPhase(phase, 0, 1);
    try {
      const findings = await options.snapshot((reader) => STEPS[phase](reader, options));
      yield* findings;
    } catch (error) {
      yield toFinding(error, phase);
    }
    options.onPhase(phase, 1, 1);
  }
}

/** The finding that a failed query of a check amounts to. */
export function toFinding(error: unknown, phase: string): Finding {
  const failure = toStorageError(error);
  const code = failure instanceof StorageError ? failure.code : "SQL";
  const message = `While checking ${phase}: ${(failure as Error).message}`;
  if (code === "NOT_A_DATABASE" || code === "CANNOT_OPEN" || code === "CORRUPT") {
    return { code, severity: "error", message };
  }
  // Other errors may come from a server that does not allow such queries.
  return {
    code: "NOT_CHECKED",
    severity: "warning",
    message: `${message}. The other checks ran; run it again once that is settled`,
  };
}

type Step = (reader: Reader, options: InspectOptions) => Promise<Finding[]>;

const STEPS: Readonly<Record<Phase, Step>> = {
  async integrity(reader, { deep }) {
    const pragma = deep ? "integrity_check" : "quick_check";
    const lines = await checkPages(reader, pragma);
    if (lines.join() === "ok") return [];
    const indexes = lines.flatMap((line) => MALFORMED_INDEX.exec(line)?.[1] ?? []);
    const findings = indexes.map((index) => staleIndex(index, "FTS5 finds it malformed"));
    if (indexes.length === lines.length) return findings;
    const others = lines.filter((line) => !MALFORMED_INDEX.test(line)).join("; ");
    const message = `${pragma} reports: ${others}. Restore a backup, or save what can be read with \`holdfast salvage\``;
    return [{ code: "CORRUPT", severity: "error", message }, ...findings];
  },

  async "foreign keys"(reader) {
    const { rows } = await reader.execute({
      sql: `select "table", parent, count(*) as count from pragma_foreign_key_check group by 1, 2`,
      args: [],
    });
    return rows.map((row) => ({
      code: "FOREIGN_KEY",
      severity: "error",
      message: `${row.count} rows of ${row.table} refer to missing rows of ${row.parent}. \`PRAGMA foreign_key_check\` lists them; delete them, or restore what they refer to`,
    }));
  },

  async migrations(reader, { migrations }) {
    const findings: Finding[] = [];
    for (const { set, mayBePending } of await present(reader, migrations)) {
      const note = (error: unknown, ifPending: Finding["severity"]) => {
        if (!(error instanceof StorageError) || !MIGRATION_CODES.has(error.code)) throw error;
        const severity = error.code === "MIGRATION_PENDING" ? ifPending : "error";
        findings.push({ code: error.code as FindingCode, severity, message: error.message });
        return error.code === "MIGRATION_PENDING";
      };
      try {
        await verify(asClient(reader), set);
      } catch (error) {
        const isPending = note(error, mayBePending ? "info" : "warning");
        if (isPending && mayBePending)
          await assertFits(asClient(reader), set).catch((refusal) => note(refusal, "info"));
      }
    }
    return findings;
  },

  async triggers(reader, { migrations }) {
    const findings: Finding[] = [];
    const lost: string[] = [];
    const sets = await present(reader, migrations);
    for (const { set } of sets) {
      for (const missing of await findMissingObjects(asClient(reader), set)) {
        const { type, name, table, unfit } = missing;
        if (unfit !== undefined) {
          const message = `${unfitMessage(missing, unfit.why)}. It was: ${unfit.sql}`;
          findings.push({ code: "OBJECT_MISSING", severity: "error", message });
          continue;
        }
        lost.push(name);
        const what = type === "trigger" ? `The trigger ${name} of ${table}` : `The table ${name}`;
        const message = `${what} is missing, so writes fail or an index becomes stale. A repair restores it`;
        findings.push({ code: "OBJECT_MISSING", severity: "error", message, repair: "triggers" });
      }
      for (const { name, table } of await findMissingIndexes(asClient(reader), set)) {
        const message = `The index ${name} of ${table} is missing, so queries are slower, and duplicates are accepted if it is UNIQUE. Create it again in a migration, with CREATE INDEX IF NOT EXISTS`;
        findings.push({ code: "OBJECT_MISSING", severity: "warning", message });
      }
    }
    const { rows } = await reader.execute({ sql: SCHEMA_QUERY, args: [] });
    // A trigger that writes to a lost table works again after the repair.
    const awaits = ({ type, sql }: SchemaObject) => type === "trigger" && lost.some((name) => mentions(sql, name));
    const broken = findBroken(toSchema(rows).filter((object) => !awaits(object)));
    for (const one of broken) {
      const message = `SQLite cannot use ${describe(one)}: ${one.why}. Change or drop it in a migration`;
      findings.push({ code: "UNCOMPILABLE", severity: "error", message });
    }
    for (const { set, mayBePending } of sets) {
      for (const one of await findMissingSchema(asClient(reader), set)) {
        // A full-text table takes its own tables with it.
        const isLost = lost.some((name) => one.name === name || one.name.startsWith(`${name}_`));
        if (isLost || one.type === "trigger" || one.type === "index") continue;
        // Said already, about what needs it.
        if (!mayBePending && broken.some(({ why }) => mentions(why, one.name))) continue;
        const message = `An applied migration creates ${describeLacking(one)}, and the database does not have it. Restore a backup, or create it in a migration`;
        findings.push({ code: "OBJECT_MISSING", severity: "error", message });
      }
    }
    return findings;
  },

  async "full text"(reader) {
    const findings: Finding[] = [];
    for (const index of await findContentIndexes(reader)) {
      const difference = await compareWithContent(reader, index);
      if (difference !== undefined) findings.push(staleIndex(index.name, difference));
    }
    return findings;
  },

  async checksums(reader, { deep, onPhase }) {
    if (!deep) return [];
    const findings: Finding[] = [];
    for (const area of await areasIn(reader, AREAS)) {
      const total = Number(scalar(await reader.execute(toStatement(sql`select count(*) from ${area.table}`))));
      let seen = 0;
      let found = 0;
      for await (const damaged of area.damaged(reader)) {
        seen += damaged.read;
        onPhase("checksums", seen, Math.max(seen, total));
        for (const { project, id, part } of damaged.records) {
          if (++found > MOST_SHOWN) continue;
          const record = `${JSON.stringify(id)} of project ${JSON.stringify(project)} in ${area.name}`;
          findings.push(damageTo(record, part));
        }
      }
      if (found > MOST_SHOWN) {
        const message = `${found - MOST_SHOWN} more records of ${area.name} do not match their checksums. Compare them with a backup, or restore one`;
        findings.push({ code: "CHECKSUM", severity: "error", message });
      }
    }
    return findings;
  },

  async space(reader) {
    const { rows } = await reader.execute({
      sql: "select freelist_count * page_size, auto_vacuum from pragma_freelist_count, pragma_page_size, pragma_auto_vacuum",
      args: [],
    });
    const bytes = Number(rows[0]?.[0] ?? 0);
    if (bytes === 0) return [];
    const how =
      Number(rows[0]![1]) === 2
        ? "New rows use them. storage.compact() or `holdfast compact` returns them to the file system"
        : "New rows use them. VACUUM, while nothing else writes, returns them to the file system";
    return [{ code: "RECLAIMABLE", severity: "info", message: `${bytes} bytes of the file are free. ${how}` }];
  },
};

function damageTo(record: string, part: string): Finding {
  if (part === "search text") {
    const message = `The index terms of ${record} are not those of its content. Reindex to find it again`;
    return { code: "INDEX_STALE", severity: "error", message, repair: "reindex" };
  }
  const what = part === "checksum" ? "its values do not match its checksum" : `its ${part} does not match its checksum`;
  const message =
    part === "JSON"
      ? `${record} cannot be read: other software has put something else in the place of JSON. Correct it with SQL, or restore a backup`
      : `${record} is not what was stored: ${what}. Compare it with a backup, then store it again`;
  return { code: "CHECKSUM", severity: "error", message };
}

/** What SQLite reports about a damaged index; the rest of the file may be sound. */
const MALFORMED_INDEX = /malformed inverted index for FTS5 table (?:main\.)?(\S+)/;
const UNUSABLE_INDEX = /vtable constructor failed: (\S+)/;

/** The report of the pragma. If an index keeps it from running, it runs for one table after the other. */
async function checkPages(reader: Reader, pragma: string): Promise<string[]> {
  const ask = async (argument: string | number) => {
    const { rows } = await reader.execute({ sql: `PRAGMA ${pragma}(${argument})`, args: [] });
    return rows.map((row) => String(row[0]));
  };
  try {
    return await ask(MOST_SHOWN);
  } catch (error) {
    const name = UNUSABLE_INDEX.exec((error as Error).message)?.[1];
    if (name === undefined) throw error;
    const tables = "select name from sqlite_schema where type = 'table' and rootpage > 0";
    const lines = [`malformed inverted index for FTS5 table ${name}`];
    for (const [table] of (await reader.execute({ sql: tables, args: [] })).rows.map(
      (row) => [String(row[0])] as const,
    )) {
      lines.push(...(await ask(quoteName(table))).filter((line) => line !== "ok"));
    }
    return lines;
  }
}

function staleIndex(name: string, difference: string): Finding {
  const message = `The full-text index ${name} is stale: ${difference}. Reindex to make searches complete again`;
  return { code: "INDEX_STALE", severity: "error", message, repair: "reindex" };
}

const MIGRATION_CODES: ReadonlySet<string> = new Set([
  "MIGRATION_PENDING",
  "MIGRATION_CHANGED",
  "MIGRATION_UNKNOWN",
  "MIGRATION_OUT_OF_ORDER",
  "MIGRATION_INVALID",
  "MIGRATION_FAILED",
  "FOREIGN_LEDGER",
]);

/** The sets to check on this database. */
async function present(reader: Reader, migrations: readonly CheckedSet[]): Promise<readonly CheckedSet[]> {
  const found: CheckedSet[] = [];
  for (const checked of migrations) {
    const { applied, changed } = await status(asClient(reader), checked.set);
    if (!checked.isOptional || applied.length > 0 || changed.length > 0) found.push(checked);
  }
  return found;
}

/** A client with the one method that reading the state of migrations needs. */
function asClient(reader: Reader): Client {
  const execute = (statement: string) => reader.execute({ sql: statement, args: [] });
  return { execute } as unknown as Client;
}
