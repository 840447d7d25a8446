import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { openStorage } from "holdfast";
import { status } from "holdfast/migrate";
import { expect, test } from "vitest";
import { tempDatabase } from "../support/temp.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const example = `${root}examples/own-tables`;
const run = promisify(execFile);

test("the example's tables are in one file with ours, and both migrators agree on the applied migrations", async () => {
  await using db = await tempDatabase();
  const program = () =>
    run(process.execPath, ["--import", import.meta.resolve("tsx"), `${example}/main.ts`, db.path], { cwd: root });
  const { stdout, stderr } = await program();
  expect(stdout).toBe("Ask for the signing key: The release waits for the signing key\n0 tasks are open\n");
  expect(stderr).toBe("");
  const kit = `${root}node_modules/drizzle-kit/bin.cjs`;
  for (const cwd of [example, root]) {
    await run(process.execPath, [kit, "migrate"], { cwd, env: { ...process.env, HOLDFAST_URL: db.url } });
  }
  const migrations = { folder: `${example}/drizzle`, table: "app_migrations" };
  await using storage = await openStorage({ url: db.url, migrations });
  const count = async (table: string) =>
    Number((await storage.client.execute(`select count(*) from ${table}`)).rows[0]![0]);
  expect(await count("app_migrations")).toBe(1);
  expect(await count("tasks")).toBe(1);
  expect(await status(storage.client, migrations)).toMatchObject({ pending: [], unknown: [] });
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
  await storage.client.execute("delete from app_migrations");
  expect((await storage.check()).findings).toContainEqual(
    expect.objectContaining({ code: "MIGRATION_PENDING", message: expect.stringContaining("0000_tasks") }),
  );
});

test("openStorage after drizzle-kit migrate gives the same file", async () => {
  await using db = await tempDatabase();
  const kit = `${root}node_modules/drizzle-kit/bin.cjs`;
  await run(process.execPath, [kit, "migrate"], { cwd: example, env: { ...process.env, HOLDFAST_URL: db.url } });
  const migrations = { folder: `${example}/drizzle`, table: "app_migrations" };
  await using storage = await openStorage({ url: db.url, migrations });
  await storage.memories.insert({ content: "in the same file" });
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
});
