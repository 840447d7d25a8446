import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, watch, writeFileSync } from "node:fs";
import { openStorage } from "holdfast";
import { describe, expect, test } from "vitest";
import { runChild } from "../support/child.js";
import { cliProgram } from "../support/cli.js";
import { tempDatabase } from "../support/temp.js";

interface Running {
  readonly child: ChildProcess & { readonly stdout: NodeJS.ReadableStream };
  readonly closed: Promise<unknown[]>;
  stderr(): string;
}

function start(args: readonly string[], input: "pipe" | "ignore" = "ignore"): Running {
  const child = spawn(process.execPath, [cliProgram, ...args], { stdio: [input, "pipe", "pipe"] });
  let stderr = "";
  child.stderr!.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  return { child: child as Running["child"], closed: once(child, "close"), stderr: () => stderr };
}

/** Sends the signal once a file whose name matches appears in the folder, and resolves to the exit code. */
async function stopAtFile(dir: string, name: RegExp, { child, closed, stderr }: Running, signal: NodeJS.Signals) {
  let isSeen = false;
  const see = (file: string | null) => {
    if (isSeen || file === null || !name.test(file)) return;
    isSeen = true;
    child.kill(signal);
  };
  const watcher = watch(dir, (_, file) => see(file));
  for (const file of readdirSync(dir)) see(file);
  const [code] = await closed;
  watcher.close();
  expect(isSeen, stderr()).toBe(true);
  return code;
}

/** A database that takes a while to copy. */
async function large(path: string): Promise<void> {
  await using storage = await openStorage(path);
  const content = "x".repeat(20_000);
  await storage.memories.insertMany(Array.from({ length: 1500 }, () => ({ content })));
}

describe("an export to a pipe", () => {
  async function startExport(path: string) {
    await large(path);
    const running = start(["export", "--url", path]);
    await once(running.child.stdout, "readable");
    return running;
  }

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("that %s stops ends in order with %i", async (signal, expected) => {
    await using db = await tempDatabase();
    const { child, closed, stderr } = await startExport(db.path);
    child.kill(signal);
    let bytes = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    expect((await closed)[0]).toBe(expected);
    expect(stderr()).toBe(`holdfast: ABORTED: Stopped by ${signal}. The lines on standard output are incomplete\n`);
    expect(bytes).toBeLessThan(30_000_000);
  });

  test("whose reader goes away ends quietly", async () => {
    await using db = await tempDatabase();
    const { child, closed, stderr } = await startExport(db.path);
    (child.stdout as unknown as { destroy(): void }).destroy();
    expect((await closed)[0]).toBe(0);
    expect(stderr()).toBe("");
  });
});

// The advice was to start again in order to continue, which none of these does.
test.each([
  ["export", ["export", "--out"], "No file was written"],
  ["backup", ["backup"], "No backup was made"],
])("a stopped %s says what is there, and leaves no file", async (_, args, advice) => {
  await using db = await tempDatabase();
  await using out = await tempDatabase();
  await large(db.path);
  const running = start([...args, `${out.dir}/copy`, "--url", db.path]);
  expect(await stopAtFile(out.dir, /partial/, running, "SIGINT")).toBe(130);
  expect(running.stderr()).toBe(`holdfast: ABORTED: Stopped by SIGINT. ${advice}\n`);
  expect(readdirSync(out.dir)).toEqual([]);
});

test("a stopped import stores nothing, and leaves no empty database", async () => {
  await using db = await tempDatabase();
  const running = start(["import", "-", "--url", db.path], "pipe");
  running.child.stdin!.on("error", () => undefined);
  running.child.stdin!.write(`${JSON.stringify({ format: "holdfast", version: 1, counts: { memories: 1 } })}\n`);
  // The database is there, and the rest of the text never comes.
  expect(await stopAtFile(db.dir, /-wal$/, running, "SIGTERM")).toBe(143);
  expect(running.stderr()).toBe("holdfast: ABORTED: Stopped by SIGTERM. Nothing was imported\n");
  expect(readdirSync(db.dir)).toEqual([]);
});

test("a stopped restore leaves the database as it was", async () => {
  await using db = await tempDatabase();
  // In another process: this one would keep the file open until its garbage is collected.
  const contents = Array.from({ length: 1500 }, () => "x".repeat(50));
  await runChild("write-memories", { url: `${db.dir}/backup.db`, contents });
  writeFileSync(db.path, "");
  const running = start(["restore", `${db.dir}/backup.db`, "--url", db.path]);
  expect(await stopAtFile(db.dir, /partial/, running, "SIGINT")).toBe(130);
  expect(running.stderr()).toBe("holdfast: ABORTED: Stopped by SIGINT. The database was not changed\n");
  expect(existsSync(db.path)).toBe(true);
  expect(readdirSync(db.dir).filter((name) => /partial|before/.test(name))).toEqual([]);
});
