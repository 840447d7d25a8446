import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { openStorage } from "holdfast";
import { expect, test } from "vitest";
import { cliProgram, holdfast } from "../support/cli.js";
import { freePort } from "../support/server.js";
import { tempDatabase } from "../support/temp.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const kit = `${root}node_modules/drizzle-kit/bin.cjs`;
const run = promisify(execFile);

/** Starts a process that serves Studio, and asks its API until the process is ended. */
async function withStudio(
  program: readonly string[],
  env: Record<string, string>,
  work: (ask: (sql: string, method?: string) => Promise<unknown>) => Promise<void>,
): Promise<number | null> {
  const port = await freePort();
  const child = spawn(process.execPath, [...program, "--port", String(port)], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const closed = once(child, "close") as Promise<[number | null]>;
  try {
    let shown = "";
    await new Promise<void>((resolve, reject) => {
      const look = (text: Buffer) => {
        shown += text;
        if (shown.includes("up and running")) resolve();
      };
      child.stdout.on("data", look);
      child.stderr.on("data", look);
      child.once("close", () => reject(new Error(`Studio ended: ${shown}`)));
    });
    await work(async (sql, method = "all") => {
      const body = JSON.stringify({ type: "proxy", data: { sql, params: [], mode: "array", method } });
      const headers = { "content-type": "application/json", origin: "https://any.page" };
      const answer = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", headers, body });
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
      return answer.json();
    });
  } finally {
    child.kill("SIGTERM");
  }
  const [code] = await closed;
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
  return code;
}

test("holdfast studio shows the rows of a file that is in use, to any page, and ends with its process", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  await storage.memories.insert({ id: "first", content: "seen in Studio" });
  const code = await withStudio([cliProgram, "studio", "--url", db.path], {}, async (ask) => {
    expect(await ask("select id, content from memories")).toEqual([["first", "seen in Studio"]]);
    await storage.memories.insert({ id: "second", content: "written meanwhile" });
    expect(await ask("select count(*) from memories")).toEqual([[2]]);
    await ask("update sessions set summary = null", "run");
  });
  expect(code).toBe(0);
  await storage.memories.insert({ id: "third", content: "and after it" });
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
});

test("drizzle-kit studio shows them too, and its writes do not wait", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  await storage.memories.insert({ id: "first", content: "seen in Studio" });
  await withStudio([kit, "studio"], { HOLDFAST_URL: db.url }, async (ask) => {
    expect(await ask("select id from memories")).toEqual([["first"]]);
    await storage.transaction(async (tx) => {
      await tx.memories.insert({ id: "open", content: "in a transaction" });
      expect(JSON.stringify(await ask("update sessions set summary = null", "run"))).toMatch(/SQLITE_BUSY|locked/);
    });
  });
});

test("drizzle-kit migrate, check and export work on a file that is in use", async () => {
  await using db = await tempDatabase();
  await using storage = await openStorage(db.path);
  await storage.memories.insert({ content: "kept" });
  const drizzleKit = (command: string) =>
    run(process.execPath, [kit, command], { cwd: root, env: { ...process.env, HOLDFAST_URL: db.url } });
  await drizzleKit("migrate");
  expect((await drizzleKit("check")).stdout).toMatch(/fine/i);
  expect((await drizzleKit("export")).stdout).toMatch(/CREATE TABLE `memories`/);
  await storage.memories.insert({ content: "and more" });
  expect(await storage.memories.count()).toBe(2);
  expect(await storage.check({ deep: true })).toMatchObject({ ok: true });
});

test("without drizzle-kit, holdfast studio says what to install", async () => {
  await using db = await tempDatabase();
  await (await openStorage(db.path)).close();
  // The built package with only its runtime dependencies, as an install without the optional peer has it.
  const home = `${db.dir}/node_modules/holdfast`;
  mkdirSync(home, { recursive: true });
  for (const name of ["dist", "drizzle", "package.json"]) {
    await run("cp", ["-r", `${root}${name}`, `${home}/${name}`]);
  }
  const { dependencies, peerDependencies } = JSON.parse((await run("cat", [`${root}package.json`])).stdout) as Record<
    string,
    Record<string, string>
  >;
  for (const name of Object.keys({ ...dependencies, ...peerDependencies })) {
    if (name === "drizzle-kit") continue;
    const link = `${db.dir}/node_modules/${name}`;
    mkdirSync(link.slice(0, link.lastIndexOf("/")), { recursive: true });
    symlinkSync(`${root}node_modules/${name}`, link);
  }
  const result = await holdfast(["studio", "--url", db.path], { cwd: db.dir, program: `${home}/dist/cli/main.js` });
  expect(result).toMatchObject({ code: 1, stderr: expect.stringMatching(/npm install --save-dev drizzle-kit/) });
});
