import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { openStorage, type Progress } from "holdfast";
import { describe, expect, test } from "vitest";
import { verifyDatabase } from "../../src/client/local/snapshot.js";
import { startChild } from "../support/child.js";
import { openSecond, rejection } from "../support/clients.js";
import { tempStorage } from "../support/storage.js";

const WHOLE = `SELECT count(*), sum(parts = 3) FROM (
  SELECT count(*) AS parts FROM memories GROUP BY substr(id, 1, length(id) - 2))`;

/** Fills a storage with about `megabytes` of random text, quickly, below the repositories. */
async function grow(storage: Awaited<ReturnType<typeof openStorage>>, megabytes: number): Promise<void> {
  await storage.client.executeMultiple(`
    CREATE TABLE bulk (id INTEGER PRIMARY KEY, body BLOB);
    INSERT INTO bulk (body) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${megabytes * 256})
      SELECT randomblob(3900) FROM n;`);
}

describe("a backup", () => {
  test("is whole, private and complete, and opens as a storage", async () => {
    await using t = await tempStorage();
    await t.storage.memories.insert({ id: "m1", content: "kept apples" });
    const destination = join(t.db.dir, "new", "folder", "it's a copy.db");
    const { path, bytes } = await t.storage.backup(destination);
    expect(path).toBe(destination);
    expect(bytes).toBe(statSync(destination).size);
    expect(statSync(destination).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(t.db.dir, "new", "folder"))).toEqual(["it's a copy.db"]);
    await using copy = await openStorage(destination);
    expect((await copy.memories.search("apples")).map(({ memory }) => memory.id)).toEqual(["m1"]);
    expect((await copy.client.execute("PRAGMA auto_vacuum")).rows[0]![0]).toBe(2);
  });

  test("taken while three processes write has whole transactions only, and does not block them", async () => {
    await using t = await tempStorage();
    const writers = ["a", "b", "c"].map((writer) => startChild("write-triples", { path: t.db.path, writer }));
    await Promise.all(writers.map((child) => child.message<{ running?: true }>(({ running }) => running === true)));
    const counts: number[] = [];
    for (let round = 0; round < 5; round++) {
      const { path } = await t.storage.backup(join(t.db.dir, `copy-${round}.db`));
      using copy = openSecond(path);
      const [[triples, whole]] = copy.all(WHOLE) as [[number, number]];
      expect(whole).toBe(triples);
      counts.push(triples);
      // The test's time limit tells when a backup has kept them from it.
      const count = async () => (await t.storage.client.execute(WHOLE)).rows[0]![0];
      await expect.poll(count, { timeout: 60_000 }).toBeGreaterThan(triples);
    }
    for (const child of writers) child.send("stop");
    const done = await Promise.all(
      writers.map((child) => child.message<{ done?: true; written: number }>(({ done }) => done === true)),
    );
    await Promise.all(writers.map(({ exited }) => exited));
    for (let round = 1; round < 5; round++) expect(counts[round]).toBeGreaterThan(counts[round - 1]!);
    const written = done.reduce((all, { written }) => all + written, 0);
    expect(written).toBeGreaterThan(counts[4]!);
    using source = openSecond(t.db.path);
    expect(source.all(WHOLE)).toEqual([[written, written]]);
  });

  test.skipIf(process.platform !== "linux")(
    "killed half-way leaves nothing under its name, and the source as it was",
    async () => {
      await using t = await tempStorage();
      await grow(t.storage, 60);
      const folder = join(t.db.dir, "copies");
      const destination = join(folder, "copy.db");
      await using child = startChild("backup", { path: t.db.path, destination, killedAt: 2 ** 20 });
      expect(await child.exited).toMatchObject({ signal: "SIGKILL" });
      expect(existsSync(destination)).toBe(false);
      const left = readdirSync(folder);
      expect(left.some((name) => name.endsWith(".partial"))).toBe(true);
      expect(left.filter((name) => !/^\.copy\.db-.*\.partial(-journal)?$/.test(name))).toEqual([]);
      // The next backup into the folder, by whatever name, takes it away; what a living process or another host has there
      // stays, that of another host for a day.
      const [mine] = left;
      const of = (pid: number | string, start: string, place: string) =>
        mine!.replace(/-(\d+)-(\d+)-([0-9a-f]{10})-(\d+)\.partial.*$/, `-${pid}-${start}-${place}-1.partial`);
      const [, , start, place] = /-(\d+)-(\d+)-([0-9a-f]{10})-\d+\.partial/.exec(mine!)!;
      const alive = readFileSync(`/proc/${process.pid}/stat`, "latin1").split(") ")[1]!.split(" ")[19]!;
      const kept = [of(process.pid, alive, place!), of(child.process.pid!, start!, "0123456789")];
      const gone = [
        of(process.pid, "1", place!),
        of(child.process.pid!, start!, "abcdef0123"),
        ".copy.db-1-2-3.partial",
      ];
      for (const name of [...kept, ...gone]) writeFileSync(join(folder, name), "");
      const yesterday = new Date(Date.now() - 25 * 60 * 60 * 1000);
      for (const name of [kept[0]!, ...gone.slice(1)]) utimesSync(join(folder, name), yesterday, yesterday);
      await t.storage.backup(join(folder, "another.db"));
      expect(readdirSync(folder).sort()).toEqual([...kept, "another.db"].sort());
      for (const name of [...kept, "another.db"]) rmSync(join(folder, name));
      // A rotation clears its own folders away, those of a living process aside.
      const rotation = join(t.db.dir, "rotation");
      const [dead, living] = ["000000", "000001"].map((clock) => join(rotation, "20200101", clock));
      for (const own of [dead!, living!]) mkdirSync(own, { recursive: true });
      writeFileSync(join(dead!, mine!), "");
      writeFileSync(join(living!, kept[0]!), "");
      await t.storage.backups(rotation, { keep: 1 });
      expect(readdirSync(join(rotation, "20200101"))).toEqual(["000001"]);
      await t.storage.backup(destination);
      expect(readdirSync(folder)).toEqual(["copy.db"]);
      using source = openSecond(t.db.path);
      expect(source.all("PRAGMA integrity_check")).toEqual([["ok"]]);
    },
  );

  test("that is aborted leaves nothing, not even its folder, and says why", async () => {
    await using t = await tempStorage();
    await grow(t.storage, 30);
    const destination = join(t.db.dir, "new", "copy.db");
    const reason = new Error("enough");
    for (const phase of ["copy", "verify"]) {
      const controller = new AbortController();
      const seen: Progress[] = [];
      const onProgress = (progress: Progress) => {
        seen.push(progress);
        if (progress.phase === phase) controller.abort(reason);
      };
      const error = await rejection(t.storage.backup(destination, { signal: controller.signal, onProgress }));
      expect(error).toBe(reason);
      expect(seen.at(-1)).toMatchObject({ phase });
      expect(existsSync(join(t.db.dir, "new"))).toBe(false);
    }
    const error = await rejection(t.storage.backup(destination, { signal: AbortSignal.abort(reason) }));
    expect(error).toBe(reason);
    await t.storage.memories.insert({ content: "still works" });
    await t.storage.backup(destination);
  });

  test("reports its progress in bytes", async () => {
    await using t = await tempStorage();
    await grow(t.storage, 20);
    const seen: Progress[] = [];
    await t.storage.backup(join(t.db.dir, "copy.db"), { onProgress: (progress) => void seen.push(progress) });
    expect(seen.filter(({ done, total }) => done > total)).toEqual([]);
    expect(seen.filter(({ phase }) => phase === "copy").at(-1)).toMatchObject({ done: seen[0]!.total });
    expect(seen.at(-1)).toEqual({ phase: "verify", done: seen.at(-1)!.total, total: seen.at(-1)!.total });
  });

  test("ends with the error that its progress callback throws", async () => {
    await using t = await tempStorage();
    const onProgress = () => {
      throw new Error("no more");
    };
    expect((await rejection(t.storage.backup(join(t.db.dir, "copy.db"), { onProgress }))).message).toBe("no more");
    expect(existsSync(join(t.db.dir, "copy.db"))).toBe(false);
  });

  test("leaves the event loop free while it copies and checks", async () => {
    await using t = await tempStorage();
    await grow(t.storage, 60);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const start = performance.now();
    await t.storage.backup(join(t.db.dir, "copy.db"));
    const took = performance.now() - start;
    clearInterval(timer);
    // A copy on the main thread would let none through.
    expect(ticks).toBeGreaterThan(took / 20);
  });

  test("of a database in memory is a file like any other", async () => {
    await using t = await tempStorage({ url: ":memory:" });
    await t.storage.memories.insert({ id: "m1", content: "from memory" });
    const { path } = await t.storage.backup(join(t.db.dir, "copy.db"));
    await using copy = await openStorage(path);
    expect((await copy.memories.get("m1"))?.content).toBe("from memory");
    await t.storage.memories.insert({ id: "m2", content: "goes on" });
  });

  test("of an encrypted database is encrypted with the same key", async () => {
    await using t = await tempStorage({ encryptionKey: "a key" });
    await t.storage.memories.insert({ id: "m1", content: "secret" });
    const { path } = await t.storage.backup(join(t.db.dir, "copy.db"));
    expect(await rejection(openStorage(path))).toMatchObject({ code: "NOT_A_DATABASE" });
    await using copy = await openStorage({ url: path, encryptionKey: "a key" });
    expect((await copy.memories.get("m1"))?.content).toBe("secret");
  });
});

describe("a backup is refused", () => {
  test("with CORRUPT if the copy fails its check, and leaves nothing", async () => {
    await using t = await tempStorage();
    using second = openSecond(t.db.path, ["CREATE TABLE n (a)", "INSERT INTO n VALUES (NULL)"]);
    second.exec(
      "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = 'CREATE TABLE n (a NOT NULL)' WHERE name = 'n'; PRAGMA writable_schema = RESET",
    );
    const error = await rejection(t.storage.backup(join(t.db.dir, "copies", "copy.db")));
    expect(error).toMatchObject({ code: "CORRUPT" });
    expect(existsSync(join(t.db.dir, "copies"))).toBe(false);
  });

  test("with CORRUPT if the copy lacks rows", async () => {
    await using t = await tempStorage();
    await t.storage.memories.insert({ content: "one" });
    const { path } = await t.storage.backup(join(t.db.dir, "copy.db"));
    const file = { path, encryptionKey: undefined };
    await verifyDatabase(file, undefined);
    expect(await rejection(verifyDatabase(file, new Map([["memories", 2n]])))).toMatchObject({ code: "CORRUPT" });
  });

  test.each([
    ["a file", (path: string) => writeFileSync(path, "theirs")],
    ["a folder", (path: string) => mkdirSync(path)],
    ["a dangling link's target is taken by nobody, but its name is", (path: string) => symlinkSync("nowhere", path)],
    ["the log of another database", (path: string) => writeFileSync(`${path}-wal`, "theirs")],
  ])("with EXISTS where there is %s", async (_, make) => {
    await using t = await tempStorage();
    const destination = join(t.db.dir, "copy.db");
    make(destination);
    const before = readdirSync(t.db.dir).sort();
    expect(await rejection(t.storage.backup(destination))).toMatchObject({ code: "EXISTS" });
    expect(readdirSync(t.db.dir).sort()).toEqual(before);
  });

  test("with CANNOT_OPEN below a file", async () => {
    await using t = await tempStorage();
    writeFileSync(join(t.db.dir, "file"), "x");
    for (const below of ["file/copy.db", "file/deeper/copy.db"]) {
      expect(await rejection(t.storage.backup(join(t.db.dir, below)))).toMatchObject({ code: "CANNOT_OPEN" });
    }
  });

  test("with EXISTS for the database itself", async () => {
    await using t = await tempStorage();
    expect(await rejection(t.storage.backup(t.db.path))).toMatchObject({ code: "EXISTS" });
  });

  test("with NOT_FOUND if the file of the database is missing", async () => {
    await using t = await tempStorage();
    rmSync(t.db.path);
    expect(await rejection(t.storage.backup(join(t.db.dir, "copy.db")))).toMatchObject({ code: "NOT_FOUND" });
    expect(existsSync(t.db.path)).toBe(false);
  });

  test("with CLOSED by a closed storage, and with WRONG_HANDLE within a transaction", async () => {
    await using t = await tempStorage();
    const destination = join(t.db.dir, "copy.db");
    const inside = t.storage.transaction(async () => t.storage.backup(destination));
    expect(await rejection(inside)).toMatchObject({ code: "WRONG_HANDLE" });
    await t.storage.close();
    expect(await rejection(t.storage.backup(destination))).toMatchObject({ code: "CLOSED" });
  });

  test("with NOT_SUPPORTED for a remote database, or to a remote place", async () => {
    await using remote = await openStorage({ url: "http://127.0.0.1:1", migrate: "skip" });
    expect(await rejection(remote.backup("copy.db"))).toMatchObject({ code: "NOT_SUPPORTED" });
    await using t = await tempStorage();
    expect(await rejection(t.storage.backup("libsql://host"))).toMatchObject({ code: "NOT_SUPPORTED" });
  });

  test("with NOT_SUPPORTED if the copy would damage a vector index", async () => {
    await using t = await tempStorage();
    await t.storage.client.executeMultiple(
      "CREATE TABLE v (e F32_BLOB(2)); CREATE INDEX v_index ON v (libsql_vector_idx(e));",
    );
    const error = await rejection(t.storage.backup(join(t.db.dir, "copy.db")));
    expect(error).toMatchObject({ code: "NOT_SUPPORTED", message: expect.stringContaining("v_index") });
  });

  test.each([[1], [""], ["a\0b"], [undefined]])(
    "with a programmer's error for the destination %j",
    async (destination) => {
      await using t = await tempStorage();
      const error = await rejection(t.storage.backup(destination as string));
      expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
    },
  );
});

describe("rotating backups", () => {
  test("have a folder for each second, and the oldest are removed once the new one is complete", async () => {
    let now = Date.UTC(2026, 0, 31, 23, 59, 58);
    await using t = await tempStorage({ now: () => now });
    const dir = join(t.db.dir, "backups");
    const made: string[] = [];
    for (let round = 0; round < 4; round++) {
      const { path, removed } = await t.storage.backups(dir, { keep: 2 });
      made.push(path);
      expect(removed).toEqual(round < 2 ? [] : [made[round - 2]]);
      now += 1000;
    }
    const file = basename(t.db.path);
    expect(made).toEqual(
      ["20260131/235958", "20260131/235959", "20260201/000000", "20260201/000001"].map((at) => join(dir, at, file)),
    );
    expect(readdirSync(dir)).toEqual(["20260201"]);
    expect(readdirSync(join(dir, "20260201"))).toEqual(["000000", "000001"]);
  });

  test("use the next second if one is taken, and leave other files alone", async () => {
    await using t = await tempStorage({ now: () => Date.UTC(2026, 1, 1) });
    const dir = join(t.db.dir, "backups");
    mkdirSync(join(dir, "20250101", "000000"), { recursive: true });
    writeFileSync(join(dir, "20250101", "000000", "other.db"), "theirs");
    writeFileSync(join(dir, "notes.txt"), "theirs");
    const results = await Promise.all([1, 2, 3].map(() => t.storage.backups(dir)));
    expect(results.map(({ path }) => path.slice(dir.length + 1, dir.length + 16)).sort()).toEqual([
      "20260201/000000",
      "20260201/000001",
      "20260201/000002",
    ]);
    await t.storage.backups(dir, { keep: 1 });
    expect(readdirSync(dir).sort()).toEqual(["20250101", "20260201", "notes.txt"]);
    expect(readdirSync(join(dir, "20260201"))).toEqual(["000003"]);
    expect(existsSync(join(dir, "20250101", "000000", "other.db"))).toBe(true);
  });

  test("the one just made stays, however many are made in a second and whatever the clock does", async () => {
    let now = Date.UTC(2026, 1, 1);
    await using t = await tempStorage({ now: () => now });
    const dir = join(t.db.dir, "backups");
    mkdirSync(join(dir, "99999999", "999999"), { recursive: true });
    for (let round = 0; round < 5; round++) {
      if (round === 3) now -= 3_600_000;
      const { path, removed } = await t.storage.backups(dir, { keep: 1 });
      expect(existsSync(path)).toBe(true);
      expect(removed).toHaveLength(round === 0 ? 0 : 1);
      expect(path).toBe(join(dir, "20260201", `00000${round}`, basename(t.db.path)));
    }
  });

  test("that are aborted leave everything as it was", async () => {
    await using t = await tempStorage();
    const dir = join(t.db.dir, "backups");
    const controller = new AbortController();
    const onProgress = () => controller.abort();
    const error = await rejection(t.storage.backups(dir, { keep: 1, signal: controller.signal, onProgress }));
    expect(error.name).toBe("AbortError");
    expect(existsSync(dir)).toBe(false);
  });

  test.each([0, -1, 1.5, "2"])("refuse to keep %j", async (keep) => {
    await using t = await tempStorage();
    const error = await rejection(t.storage.backups(join(t.db.dir, "backups"), { keep: keep as number }));
    expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
  });
});
