import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { openStorage } from "holdfast";
import { createClient } from "holdfast/client";
import { status } from "holdfast/migrate";
import { expect, test } from "vitest";
import { tempDatabase } from "../support/temp.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = `${root}drizzle`;
const kit = fileURLToPath(new URL("../../node_modules/drizzle-kit/bin.cjs", import.meta.url));
const run = promisify(execFile);

const drizzleKit = (url: string, ...command: string[]) =>
  run(process.execPath, [kit, ...command], { cwd: root, env: { ...process.env, HOLDFAST_URL: url } });

test("drizzle-kit migrate does not change a file that openStorage has migrated, and the other way round", async () => {
  await using ours = await tempDatabase();
  const storage = await openStorage(ours.path);
  await storage.memories.insert({ content: "kept" });
  await storage.close();
  await drizzleKit(ours.url, "migrate");
  await using theirs = await tempDatabase();
  await drizzleKit(theirs.url, "migrate");
  for (const { path, url } of [ours, theirs]) {
    const client = createClient({ url });
    expect(await status(client, { folder })).toMatchObject({ pending: [], changed: [], unknown: [] });
    const { rows } = await client.execute("SELECT count(*) FROM __drizzle_migrations");
    expect(rows[0]![0]).toBe(JSON.parse(readFileSync(`${folder}/meta/_journal.json`, "utf8")).entries.length);
    await client.close();
    await using again = await openStorage(path);
    await again.memories.insert({ content: "written by the library" });
    expect(await again.memories.search("library")).toHaveLength(1);
  }
});

test("the generated migrations match the schema: generating finds nothing to do", async () => {
  const out = mkdtempSync(`${root}node_modules/.holdfast-generate-`);
  try {
    await run("cp", ["-r", `${folder}/.`, out]);
    const options = ["--dialect", "sqlite", "--schema", `${root}src/schema/index.ts`, "--out", out.slice(root.length)];
    const { stdout } = await run(process.execPath, [kit, "generate", ...options], { cwd: root });
    expect(stdout).toContain("No schema changes");
  } finally {
    rmSync(out, { recursive: true });
  }
});
