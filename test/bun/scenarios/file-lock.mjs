import { spawn } from "node:child_process";
import { readdirSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { acquireLock, FileLock, releaseLock } from "holdfast/memvid";
import { transcript } from "../transcript.mjs";

// This file starts itself again to take the lock, report it, and wait to be killed.
if (process.argv[2] === "hold") {
  const lock = new FileLock(process.argv[3]);
  process.stdout.write(`${await lock.acquire()}\n`);
  await new Promise((resolve) => process.stdin.once("data", resolve));
}

await transcript(async ({ dir, note }) => {
  const path = join(dir, "counter");
  const [first, second] = [new FileLock(path), new FileLock(path, { staleMs: 50 })];
  await note("acquire", first.acquire());
  await note("taken", second.acquire(0));
  await note("holder", async () => ({ ...(await second.holder()), pid: (await second.holder()).pid === process.pid }));
  await note("files", () => readdirSync(dir));
  await note("release", first.release());
  await note("free", second.holder());
  const turns = ["a", "b", "c"].map((name) => first.withLock(async () => name));
  await note("in turn", Promise.all(turns));
  await note(
    "throws",
    first.withLock(() => Promise.reject(new Error("the work failed"))),
  );
  await note("null", async () => {
    const held = await acquireLock(path);
    const result = await second.withLock(() => "ran", 0);
    await releaseLock(held);
    return result;
  });
  let inside = 0;
  let most = 0;
  const contend = async () => {
    const lock = new FileLock(path);
    for (let i = 0; i < 10; i++) {
      await lock.withLock(async () => {
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside--;
      }, 60_000);
    }
  };
  await Promise.all(Array.from({ length: 6 }, contend));
  await note("most at once", most);
  await note("killed holder", async () => {
    const child = spawn(process.execPath, [process.argv[1], "hold", path], { stdio: ["pipe", "pipe", "inherit"] });
    const said = await new Promise((resolve) => child.stdout.once("data", (data) => resolve(String(data).trim())));
    const before = await first.acquire(0);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
    const after = await first.acquire(10_000);
    await first.release();
    return { said, before, after, left: readdirSync(dir) };
  });
  await note("other host", async () => {
    writeFileSync(`${path}.lock`, JSON.stringify({ pid: 1, host: "elsewhere", since: Date.now() }));
    const young = await first.acquire(0);
    utimesSync(`${path}.lock`, new Date(), new Date(Date.now() - 60_000));
    const old = await second.acquire(0);
    await second.release();
    return { young, old };
  });
  await note("reused pid", async () => {
    const record = { pid: process.pid, host: hostname(), since: Date.now(), start: "1" };
    writeFileSync(`${path}.lock`, JSON.stringify(record));
    const taken = await first.acquire(0);
    await first.release();
    return taken === (process.platform === "linux");
  });
  await note("no folder", async () => {
    const lock = new FileLock(join(dir, "a/b/c"));
    return [await lock.acquire(), await lock.release(), readdirSync(join(dir, "a/b"))];
  });
  await note("no path", () => new FileLock(""));
  await note("no time", first.acquire(-1));
});
