import type { ResultSet } from "@libsql/client";
import { expectKeys } from "../shared/known-keys.js";
import type { Storage } from "../storage/storage.js";
import type { DoctorOptions, DoctorResult, VerifyOptions, VerifyResult } from "./memvid-types.js";

/** Checks the file; the result lists the problems. */
export async function checkFile(storage: Storage, path: string, options: VerifyOptions): Promise<VerifyResult> {
  expectKeys("verify", options, ["deep"]);
  const checks: VerifyResult["checks"] = [];
  const check = async (name: string, find: () => Promise<string[]>) => {
    let problems: string[];
    try {
      problems = await find();
    } catch (error) {
      // A damaged file may make the check itself fail.
      problems = [error instanceof Error ? error.message : String(error)];
    }
    checks.push({ name, status: problems.length === 0 ? "passed" : "failed", details: problems.join("\n") || null });
  };
  const run = (sql: string) => storage.client.execute(sql);
  // First, because after a rebuild by another connection the index seems malformed until this one has read it.
  await check("FullTextIndex", async () => {
    await run("select rowid from memories_fts where memories_fts match 'holdfast' limit 1");
    return [];
  });
  await check("Pages", async () => {
    const found = texts(await run(options.deep === true ? "pragma integrity_check" : "pragma quick_check"));
    return found.length === 1 && found[0] === "ok" ? [] : found;
  });
  await check("ForeignKeys", async () => texts(await run("pragma foreign_key_check")));
  await check("Migrations", async () => ((await storage.stats()).schemaVersion > 0 ? [] : ["The schema is missing"]));
  const isSound = checks.every(({ status }) => status === "passed");
  return { file_path: path, overall_status: isSound ? "passed" : "failed", checks };
}

/** Makes the requested repairs, then verifies deeply. */
export async function healFile(storage: Storage, path: string, options: DoctorOptions): Promise<DoctorResult> {
  expectKeys("doctor", options, [
    "rebuildLexIndex",
    "rebuildTimeIndex",
    "rebuildVecIndex",
    "vacuum",
    "dryRun",
    "quiet",
  ]);
  const started = performance.now();
  const { rebuildLexIndex = false, vacuum = false, dryRun = false } = options;
  const steps: [phase: string, run: () => Promise<unknown>][] = [];
  if (rebuildLexIndex) steps.push(["rebuild_lex_index", () => storage.reindex()]);
  if (vacuum) steps.push(["vacuum", () => storage.client.execute("vacuum")]);
  const phases: DoctorResult["phases"] = [];
  for (const [phase, run] of steps) {
    const from = performance.now();
    if (!dryRun) await run();
    const duration = Math.round(performance.now() - from);
    phases.push({ phase, status: dryRun ? "skipped" : "executed", duration_ms: duration });
  }
  const verification = dryRun ? null : await checkFile(storage, path, { deep: true });
  const failed = verification?.checks.filter(({ status }) => status === "failed") ?? [];
  return {
    status: failed.length > 0 ? "failed" : phases.length > 0 && !dryRun ? "healed" : "clean",
    findings: failed.map(({ name, details }) => `${name}: ${details}`),
    phases,
    metrics: {
      actions_completed: dryRun ? 0 : phases.length,
      actions_skipped: dryRun ? phases.length : 0,
      total_duration_ms: Math.round(performance.now() - started),
    },
    verification,
  };
}

function texts({ rows }: ResultSet): string[] {
  return rows.map((row) => Array.from(row as ArrayLike<unknown>).join(" "));
}
