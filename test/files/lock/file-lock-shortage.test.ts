import { execFile } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as lock from "holdfast/lock";
import * as memvid from "holdfast/memvid";
import { openStories } from "holdfast/stories";
import { expect, test } from "vitest";
import { tempDatabase } from "../../support/temp.js";

// One failed unlink while a lock was given back kept out every process until this one ended.

test.skipIf(process.platform === "win32")(
  "acquire and release of a lock survive a shortage of descriptors",
  async () => {
    await using db = await tempDatabase();
    const child = fileURLToPath(new URL("../../support/children/lock-without-descriptors.mjs", import.meta.url));
    const input = JSON.stringify({ path: db.path });
    const command = 'ulimit -n 100 && exec "$0" "$@"';
    const { stdout } = await promisify(execFile)("bash", ["-c", command, process.execPath, child, input]);
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { acquired: true },
      { refused: { code: "CANNOT_OPEN", retryable: true } },
      { brief: "done", isLeft: false, warnings: [] },
      { long: "done too", warnings: 1 },
      { owed: { code: "CANNOT_OPEN", retryable: true } },
      { other: true },
      { next: true },
      { isLeft: false },
    ]);
    expect(readdirSync(db.dir)).toEqual([]);
  },
);

test("a lock file that this thread abandoned is taken over; one of another thread is not", async () => {
  await using db = await tempDatabase();
  const first = new lock.FileLock(db.path);
  await first.acquire();
  const { readFileSync } = await import("node:fs");
  const record = JSON.parse(readFileSync(`${db.path}.lock`, "utf8"));
  expect(record.run).toMatch(/^[0-9a-f]{16}$/);
  expect(await new lock.FileLock(db.path).acquire(0)).toBe(false);
  await first.release();
  writeFileSync(`${db.path}.lock`, JSON.stringify({ ...record, run: "0".repeat(16) }));
  expect(await first.acquire(5)).toBe(false);
  writeFileSync(`${db.path}.lock`, JSON.stringify({ ...record, run: undefined }));
  expect(await first.acquire(5)).toBe(false);
  writeFileSync(`${db.path}.lock`, JSON.stringify(record));
  expect(await first.acquire(0)).toBe(true);
  await first.release();
  expect(existsSync(`${db.path}.lock`)).toBe(false);
});

test("an empty lock file, as a loss of power leaves it, is taken over after a second", async () => {
  await using db = await tempDatabase();
  for (const text of ["", "\0".repeat(200)]) {
    writeFileSync(`${db.path}.lock`, text);
    const own = new lock.FileLock(db.path);
    expect(await own.acquire(5)).toBe(false);
    const start = performance.now();
    expect(await own.acquire(20_000)).toBe(true);
    expect(performance.now() - start).toBeLessThan(10_000);
    await own.release();
  }
  const root = join(db.dir, "stories");
  await openStories({ backend: "filesystem", path: root }).then((service) => service.close());
  writeFileSync(join(root, ".write.lock"), "");
  const start = performance.now();
  await using service = await openStories({ backend: "filesystem", path: root });
  await service.saveStory("a", {});
  expect(performance.now() - start).toBeLessThan(20_000);
  // A record that names a process is no empty file.
  writeFileSync(`${db.path}.lock`, JSON.stringify({ pid: 1, host: hostname(), since: 0 }));
  expect(await new lock.FileLock(db.path).acquire(1_500)).toBe(false);
});

test("holdfast/lock has the lock of holdfast/memvid", () => {
  expect({ ...lock }).toEqual({
    FileLock: memvid.FileLock,
    acquireLock: memvid.acquireLock,
    releaseLock: memvid.releaseLock,
  });
});
