import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { openStorage, type Storage } from "../../src/index.js";
import { millis, type Trial, type TrialContext } from "../trial.js";

/** Size of the database. At 1024, a backup is expected to run at half the speed of the disk. */
const MEGABYTES = Number(process.env.HOLDFAST_BENCH_BACKUP_MB ?? 256);
const ROW_BYTES = 1000;

async function filled(
  folder: string,
  megabytes = MEGABYTES,
): Promise<{ storage: Storage; path: string; megabytes: number }> {
  const path = join(folder, "storage.db");
  const storage = await openStorage(path);
  await storage.client.execute("CREATE TABLE records (id INTEGER PRIMARY KEY, key TEXT UNIQUE, body TEXT)");
  const rows = Math.round((megabytes * 2 ** 20) / (ROW_BYTES * 1.08));
  const slice = 50_000;
  for (let first = 0; first < rows; first += slice) {
    await storage.client.execute(`INSERT INTO records (key, body)
      WITH RECURSIVE n(i) AS (SELECT ${first} UNION ALL SELECT i + 1 FROM n WHERE i < ${Math.min(first + slice, rows) - 1})
      SELECT 'key-' || i, hex(randomblob(${ROW_BYTES / 2})) FROM n`);
  }
  await (storage.client as unknown as { checkpoint(): Promise<unknown> }).checkpoint();
  execFileSync("sync", [path]);
  return { storage, path, megabytes: statSync(path).size / 2 ** 20 };
}

/** Megabytes a second until the copy is on the disk, or until it is also verified. */
async function speed({ folder }: TrialContext, until: "copied" | "verified"): Promise<number> {
  const { storage, megabytes } = await filled(folder);
  const start = performance.now();
  let copied = 0;
  const onProgress = ({ phase, done, total }: { phase: string; done: number; total: number }) => {
    if (phase === "copy" && done === total) copied = performance.now() - start;
  };
  await storage.backup(join(folder, "copy.db"), { onProgress });
  return megabytes / ((until === "copied" ? copied : performance.now() - start) / 1000);
}

export const backup: Trial = {
  title: `backup of a database of ${MEGABYTES} MB (HOLDFAST_BENCH_BACKUP_MB) of rows of ${ROW_BYTES} characters with one index`,
  unit: "MB/s",
  isMoreBetter: true,
  isCases: true,
  contenders: {
    "cp and fsync": async ({ folder }) => {
      const { path, megabytes } = await filled(folder);
      const copy = join(folder, "copy.db");
      const took = await millis(async () => {
        execFileSync("cp", [path, copy]);
        execFileSync("sync", [copy]);
      });
      return megabytes / (took / 1000);
    },
    copied: (context) => speed(context, "copied"),
    "copied, verified": (context) => speed(context, "verified"),
  },
};

/** The largest growth of the process's memory during a backup. */
async function growth({ folder }: TrialContext, megabytes: number): Promise<number> {
  const { storage } = await filled(folder, megabytes);
  const before = process.memoryUsage.rss();
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 5);
  await storage.backup(join(folder, "copy.db"));
  clearInterval(timer);
  return (most - before) / 2 ** 20;
}

export const backupMemory: Trial = {
  title: `memory that a backup takes, of ${MEGABYTES} MB and of an eighth of it`,
  unit: "MB",
  isCases: true,
  contenders: {
    whole: (context) => growth(context, MEGABYTES),
    "an eighth": (context) => growth(context, MEGABYTES / 8),
  },
};
