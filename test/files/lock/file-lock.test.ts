import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { acquireLock, FileLock, releaseLock } from "holdfast/memvid";
import { describe, expect, test } from "vitest";
import { startChild } from "../../support/child.js";
import { seededRandom } from "../../support/random.js";
import { times } from "../../support/soak.js";
import { tempDatabase } from "../../support/temp.js";

/** A process id that no process has: Linux gives none above 2^22. */
const NO_PROCESS = 2 ** 22 + 1;
const tokenOf = (digit: string) => digit.repeat(32);

/** A lock file as a process of this host left it; `record` says what is special about it. */
function leaveLock(path: string, record: Record<string, unknown> = {}): string {
  const text = JSON.stringify({ pid: NO_PROCESS, host: hostname(), since: Date.now(), token: tokenOf("a"), ...record });
  writeFileSync(`${path}.lock`, text);
  return text;
}

describe("a lock", () => {
  test("keeps a second object out until it is released", async () => {
    await using db = await tempDatabase();
    const [first, second] = [new FileLock(db.path), new FileLock(db.path)];
    expect(await first.acquire()).toBe(true);
    expect(await second.acquire(30)).toBe(false);
    const waiting = second.acquire(10_000);
    await first.release();
    expect(await waiting).toBe(true);
    await second.release();
    expect(readdirSync(db.dir)).toEqual([]);
  });

  test("that a successor has claimed is not removed by a release", async () => {
    await using db = await tempDatabase();
    const lock = new FileLock(db.path);
    expect(await lock.acquire()).toBe(true);
    const { token } = JSON.parse(readFileSync(`${db.path}.lock`, "utf8"));
    // They took this process for ended, and are about to put their own record in its place.
    const claim = JSON.stringify({ pid: process.pid, host: hostname(), since: Date.now(), token: tokenOf("b") });
    writeFileSync(`${db.path}.lock.${token}.next`, claim);
    await lock.release();
    expect(existsSync(`${db.path}.lock`)).toBe(true);
    expect(await new FileLock(db.path).acquire(30)).toBe(false);
  });

  test("serves concurrent calls of one object in turn", async () => {
    await using db = await tempDatabase();
    const lock = new FileLock(db.path);
    const order: string[] = [];
    const section = (name: string) =>
      lock.withLock(async () => {
        order.push(`${name} in`);
        await new Promise((resolve) => setImmediate(resolve));
        order.push(`${name} out`);
        return name;
      });
    expect(await Promise.all([section("a"), section("b"), section("c")])).toEqual(["a", "b", "c"]);
    expect(order).toEqual(["a in", "a out", "b in", "b out", "c in", "c out"]);
  });

  test("gives up at the deadline, in the line of its object and before the file alike", async () => {
    await using db = await tempDatabase();
    const lock = new FileLock(db.path);
    const other = new FileLock(db.path);
    expect(await lock.acquire(0)).toBe(true);
    expect(await lock.acquire(0)).toBe(false);
    expect(await lock.acquire(5)).toBe(false);
    expect(await other.acquire(0)).toBe(false);
    await lock.release();
    // The contenders that gave up are no longer in the line.
    expect(await other.acquire(0)).toBe(true);
    expect(await lock.acquire(0)).toBe(false);
    await other.release();
    expect(await lock.acquire(0)).toBe(true);
    await lock.release();
  });

  test("names its holder", async () => {
    await using db = await tempDatabase();
    const lock = new FileLock(db.path);
    expect(await lock.holder()).toBeNull();
    const before = Date.now();
    await lock.acquire();
    const holder = await new FileLock(db.path).holder();
    expect(holder).toEqual({ pid: process.pid, host: hostname(), since: expect.any(Date) });
    expect(holder!.since.getTime()).toBeGreaterThanOrEqual(before);
    expect(holder!.since.getTime()).toBeLessThanOrEqual(Date.now());
    await lock.release();
    expect(await lock.holder()).toBeNull();
  });

  test('is `path + ".lock"`, in a folder that is created if it is missing', async () => {
    await using db = await tempDatabase();
    const path = join(db.dir, "a", "b", "mind.mv2");
    const lock = new FileLock(path);
    expect(lock.path).toBe(`${path}.lock`);
    await lock.acquire();
    expect(existsSync(`${path}.lock`)).toBe(true);
    await lock.release();
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  test("released twice, also at once, or never held, leaves the lock of another holder", async () => {
    await using db = await tempDatabase();
    const [first, second] = [new FileLock(db.path), new FileLock(db.path)];
    await first.release();
    await first.acquire();
    await Promise.all([first.release(), first.release()]);
    await second.acquire();
    await first.release();
    expect(await first.acquire(0)).toBe(false);
    await second.release();
  });

  test("deleted by hand and taken by another is not removed by its first owner", async () => {
    await using db = await tempDatabase();
    const [first, second] = [new FileLock(db.path), new FileLock(db.path)];
    await first.acquire();
    rmSync(`${db.path}.lock`);
    await second.acquire();
    const text = readFileSync(`${db.path}.lock`, "utf8");
    await first.release();
    expect(readFileSync(`${db.path}.lock`, "utf8")).toBe(text);
    await second.release();
    expect(existsSync(`${db.path}.lock`)).toBe(false);
  });

  test("withLock resolves to null if the lock is taken, and releases it when the work throws", async () => {
    await using db = await tempDatabase();
    const [first, second] = [new FileLock(db.path), new FileLock(db.path)];
    await first.acquire();
    expect(await second.withLock(() => "ran", 0)).toBeNull();
    await first.release();
    const failure = new Error("the work failed");
    await expect(second.withLock(() => Promise.reject(failure))).rejects.toBe(failure);
    expect(await first.withLock(() => "ran", 0)).toBe("ran");
  });

  test("acquireLock resolves to a held lock or null, releaseLock releases it", async () => {
    await using db = await tempDatabase();
    const held = await acquireLock(db.path);
    expect(held).toBeInstanceOf(FileLock);
    expect(await acquireLock(db.path, 0)).toBeNull();
    await releaseLock(held);
    await releaseLock(held);
    await releaseLock(null);
    const again = await acquireLock(db.path, 0);
    expect(again).not.toBeNull();
    await releaseLock(again);
  });

  test("refuses wrong arguments before it touches a file", async () => {
    await using db = await tempDatabase();
    expect(() => new FileLock("")).toThrow(TypeError);
    expect(() => new FileLock("a\0b")).toThrow(TypeError);
    expect(() => new FileLock(undefined as unknown as string)).toThrow(TypeError);
    expect(() => new FileLock(db.path, { staleMs: -1 })).toThrow(RangeError);
    expect(() => new FileLock(db.path, { stale: 1 } as object)).toThrow(TypeError);
    const lock = new FileLock(db.path);
    await expect(lock.acquire(Number.NaN)).rejects.toThrow(RangeError);
    await expect(lock.acquire("5" as unknown as number)).rejects.toThrow(TypeError);
    await expect(lock.withLock(5 as unknown as () => void)).rejects.toThrow(TypeError);
    expect(readdirSync(db.dir)).toEqual([]);
  });
});

describe("an abandoned lock", () => {
  test("of a killed process, and of one that ended without releasing, is taken over at once", async () => {
    await using db = await tempDatabase();
    for (const end of ["kill", "exit"]) {
      await using child = startChild("hold-file-lock", { path: db.path });
      expect(await child.message(() => true)).toEqual({ isHeld: true });
      const lock = new FileLock(db.path);
      expect(await lock.acquire(0)).toBe(false);
      expect((await lock.holder())!.pid).toBe(child.process.pid);
      if (end === "kill") child.kill();
      else child.send("end");
      await child.exited;
      expect(await lock.acquire(0)).toBe(true);
      expect((await lock.holder())!.pid).toBe(process.pid);
      await lock.release();
      expect(readdirSync(db.dir)).toEqual([]);
    }
  });

  test("goes to one of many contenders at a time, round after round", async () => {
    await using db = await tempDatabase();
    const random = seededRandom("contenders for an abandoned lock");
    let inside = 0;
    for (let round = 0; round < 100; round++) {
      leaveLock(db.path, { token: round.toString(16).padStart(32, "0") });
      const contend = async () => {
        const lock = new FileLock(db.path);
        for (let turns = random.below(8); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
        expect(await lock.acquire(20_000)).toBe(true);
        expect(++inside).toBe(1);
        for (let turns = random.below(4); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
        inside--;
        await lock.release();
      };
      await Promise.all(Array.from({ length: 6 }, contend));
      expect(readdirSync(db.dir)).toEqual([]);
    }
  });

  test("whose successor was killed while taking over goes to the next one, which removes all of its files", async () => {
    await using db = await tempDatabase();
    const name = `${db.path}.lock`;
    leaveLock(db.path);
    const successor = (token: string, record = {}) =>
      JSON.stringify({ ...JSON.parse(leaveLock(db.path)), token, ...record });
    writeFileSync(`${name}.${tokenOf("a")}.next`, successor(tokenOf("b")));
    writeFileSync(`${name}.${tokenOf("b")}.next`, successor(tokenOf("c")));
    writeFileSync(`${name}.${tokenOf("b")}.new`, "half a rec");
    writeFileSync(`${name}.${tokenOf("f")}.next`, successor(tokenOf("e")));
    writeFileSync(`${name}.notes`, "of another program");
    const lock = new FileLock(db.path);
    expect(await lock.acquire(0)).toBe(true);
    expect(readdirSync(db.dir).sort()).toEqual([basename(name), `${basename(name)}.notes`]);
    await lock.release();
    expect(readdirSync(db.dir)).toEqual([`${basename(name)}.notes`]);
    // The same without a lock file: its process was killed before the link.
    writeFileSync(`${name}.${tokenOf("b")}.new`, "");
    await new FileLock(db.path).withLock(() => expect(readdirSync(db.dir)).toHaveLength(2));
  });

  test.runIf(process.platform !== "win32")(
    "that changed hands while a contender looked at it is not taken from the new holder",
    async () => {
      await using db = await tempDatabase();
      leaveLock(db.path);
      // The contender reads the claim on the abandoned lock from a pipe, and so waits there for us.
      const claim = `${db.path}.lock.${tokenOf("a")}.next`;
      execFileSync("mkfifo", [claim]);
      const lock = new FileLock(db.path);
      const attempt = lock.acquire(0);
      const pipe = await open(claim, "w");
      const dead = JSON.stringify({ pid: NO_PROCESS, host: hostname(), since: Date.now(), token: tokenOf("b") });
      rmSync(claim);
      const holder = leaveLock(db.path, { pid: process.pid, token: tokenOf("c") });
      await pipe.writeFile(dead);
      await pipe.close();
      expect(await attempt).toBe(false);
      expect(readFileSync(`${db.path}.lock`, "utf8")).toBe(holder);
      expect(readdirSync(db.dir)).toEqual([`${basename(db.path)}.lock`]);
    },
  );

  test("whose successor is alive is not free", async () => {
    await using db = await tempDatabase();
    leaveLock(db.path);
    const claim = `${db.path}.lock.${tokenOf("a")}.next`;
    writeFileSync(
      claim,
      JSON.stringify({ pid: process.pid, host: hostname(), since: Date.now(), token: tokenOf("b") }),
    );
    const lock = new FileLock(db.path);
    expect(await lock.acquire(20)).toBe(false);
    expect((await lock.holder())!.pid).toBe(process.pid);
    rmSync(claim);
    expect(await lock.acquire(0)).toBe(true);
    await lock.release();
  });

  test.runIf(existsSync("/proc/self/stat"))(
    "whose process id now belongs to another process is taken over",
    async () => {
      await using db = await tempDatabase();
      leaveLock(db.path, { pid: process.pid });
      const lock = new FileLock(db.path);
      expect(await lock.acquire(0)).toBe(false);
      leaveLock(db.path, { pid: process.pid, start: "1" });
      expect(await lock.acquire(0)).toBe(true);
      await lock.release();
    },
  );

  test.runIf(existsSync("/proc/self/stat"))("whose process is a zombie is taken over", async () => {
    await using db = await tempDatabase();
    // The shell becomes `sleep`, which never reaps the child that it has inherited: a zombie.
    const parent = spawn("sh", ["-c", "sh -c 'exit 0' & echo $!; exec sleep 600"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const [output] = (await once(parent.stdout, "data")) as [Buffer];
      leaveLock(db.path, { pid: Number(output.toString()) });
      const lock = new FileLock(db.path);
      expect(await lock.acquire(10_000)).toBe(true);
      await lock.release();
    } finally {
      parent.kill("SIGKILL");
    }
  });

  test("of another host is respected for `staleMs`, then taken over", async () => {
    await using db = await tempDatabase();
    const lock = new FileLock(db.path);
    leaveLock(db.path, { host: "elsewhere", since: Date.now() - 15_000 });
    expect(await lock.acquire(0)).toBe(false);
    leaveLock(db.path, { host: "elsewhere", since: Date.now() - 31_000 });
    expect(await lock.acquire(0)).toBe(true);
    await lock.release();
    // Its clock is an hour ahead: the age of the file counts.
    leaveLock(db.path, { host: "elsewhere", since: Date.now() + 3_600_000 });
    expect(await lock.acquire(0)).toBe(false);
    utimesSync(`${db.path}.lock`, new Date(), new Date(Date.now() - 31_000));
    expect(await lock.acquire(0)).toBe(true);
    await lock.release();
    // The same name, but another run of the machine or another container.
    leaveLock(db.path, { machine: "another boot" });
    expect(await lock.acquire(0)).toBe(process.platform !== "linux");
    expect(await new FileLock(db.path, { staleMs: 40 }).acquire(10_000)).toBe(true);
  });

  test("of this host is never too old while its process lives", async () => {
    await using db = await tempDatabase();
    const [first, second] = [new FileLock(db.path), new FileLock(db.path, { staleMs: 0 })];
    await first.acquire();
    utimesSync(`${db.path}.lock`, 0, 0);
    expect(await second.acquire(20)).toBe(false);
    await first.release();
  });

  test.each([
    ["empty", ""],
    ["cut short", '{"pid":12'],
    ["zeros", "\0".repeat(64)],
    ["JSON of something else", '["pid", 12]'],
    ["null", "null"],
    ["a token that is a path", '{"pid":0,"token":"../../x"}'],
  ])("whose file is %s is taken over once it is old", async (_, text) => {
    await using db = await tempDatabase();
    writeFileSync(`${db.path}.lock`, text);
    const lock = new FileLock(db.path);
    expect(await lock.acquire(5)).toBe(false);
    utimesSync(`${db.path}.lock`, new Date(), new Date(Date.now() - 31_000));
    expect(await lock.acquire(0)).toBe(true);
    await lock.release();
    expect(readdirSync(db.dir)).toEqual([]);
    expect(readdirSync(dirname(db.dir))).not.toContain("x.next");
  });

  test("is not confused with a file or folder of another program with that name", async () => {
    await using db = await tempDatabase();
    const lock = new FileLock(db.path);
    writeFileSync(`${db.path}.lock`, "x".repeat(2000));
    utimesSync(`${db.path}.lock`, 0, 0);
    await expect(lock.acquire(0)).rejects.toMatchObject({ name: "StorageError", code: "CANNOT_OPEN" });
    expect(readFileSync(`${db.path}.lock`, "utf8")).toHaveLength(2000);
    rmSync(`${db.path}.lock`);
    mkdirSync(`${db.path}.lock`);
    await expect(lock.acquire(0)).rejects.toMatchObject({ code: "CANNOT_OPEN" });
    rmSync(`${db.path}.lock`, { recursive: true });
    // What was refused holds nothing up.
    expect(await lock.acquire(0)).toBe(true);
    await lock.release();
  });
});

const SECTIONS = times(250, 500);

test(`four processes pass ${SECTIONS} critical sections each, one at a time, though holders and contenders are killed`, async () => {
  await using db = await tempDatabase();
  const random = seededRandom("file lock of four processes");
  writeFileSync(join(db.dir, "counter"), "0");
  const values: number[] = [];
  const violations: unknown[] = [];
  let kills = 0;

  async function work(worker: number): Promise<void> {
    for (let life = 0, left = SECTIONS; left > 0; life++) {
      // Six lives that end by force: every other one inside of a section, the rest wherever it happens to be.
      const isDoomed = life < 6;
      const dieAt = isDoomed && life % 2 === 0 ? random.below(60) : -1;
      const killAfter = isDoomed && life % 2 === 1 ? 1 + random.below(60) : Number.POSITIVE_INFINITY;
      const diesBefore = random.below(2) === 0;
      await using child = startChild("lock-sections", { folder: db.dir, worker, sections: left, dieAt, diesBefore });
      const isOver = () => child.messages.length >= killAfter;
      if (killAfter < left) {
        await child.message(isOver);
        child.kill();
      }
      const { signal, stderr } = await child.exited;
      expect(stderr).toBe("");
      if (signal !== null) kills++;
      for (const message of child.messages as { value?: number; violation?: string }[]) {
        if (message.violation !== undefined) violations.push(message.violation);
        if (message.value === undefined) continue;
        values.push(message.value);
        left--;
      }
    }
  }
  await Promise.all([0, 1, 2, 3].map(work));

  expect(violations).toEqual([]);
  expect(values).toHaveLength(4 * SECTIONS);
  expect(new Set(values).size).toBe(4 * SECTIONS);
  const counter = Number(readFileSync(join(db.dir, "counter"), "utf8"));
  // Who was killed may have counted without telling.
  expect(counter).toBeGreaterThanOrEqual(4 * SECTIONS);
  expect(counter).toBeLessThanOrEqual(4 * SECTIONS + kills);
  expect(kills).toBeGreaterThan(12);
  const lock = new FileLock(join(db.dir, "counter"));
  expect(await lock.acquire(0)).toBe(true);
  await lock.release();
});
