// Makes every public call that touches a database file while a storage of this process has it open, and reports whether
// SQLite's locks are still there. Then checks in rounds whether acknowledged changes survive a foreign process.
import { spawn } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { checkFile, openStorage, restore, salvage } from "holdfast";
import { createClient } from "holdfast/client";
import { backupDb, initDb, migrateDb } from "holdfast/conversations";
import * as memvid from "holdfast/memvid";
import { status } from "holdfast/migrate";
import { openStories } from "holdfast/stories";
import { runProgram } from "../../../dist/cli/program.js";

const { dir, rounds, seed } = JSON.parse(process.argv[2]);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const rejected = (promise) =>
  promise.then(
    () => {
      throw new Error("The call was expected to reject");
    },
    () => undefined,
  );

/** Writes one more memory, and closes. */
const storageHandle = (storage) => ({
  insert: (content) => storage.memories.insert({ content }),
  close: () => storage.close(),
});
const memvidHandle = (memory) => ({ close: () => memory.close() });
const cli = (...args) => runProgram([...args, "--json"]);

function inWorker(path, { write }) {
  const worker = new Worker(new URL("./open-in-worker.mjs", import.meta.url), { workerData: { path, write } });
  return new Promise((resolve, reject) => {
    worker.once("error", reject);
    worker.once("exit", (exitCode) => (exitCode === 0 ? resolve() : reject(new Error(`exit code ${exitCode}`))));
  });
}

/** Each call takes the path and the storage that has the file open. Resolves to the handles that it leaves open. */
const CALLS = {
  "a second openStorage": async (path) => [storageHandle(await openStorage(path))],
  "openStorage by URL": async (path) => [storageHandle(await openStorage(pathToFileURL(path).href))],
  "openStorage that verifies": async (path) => [storageHandle(await openStorage({ url: path, migrate: "verify" }))],
  "openStorage that skips": async (path) => [storageHandle(await openStorage({ url: path, migrate: "skip" }))],
  "openStorage that only reads": async (path) => [await openStorage({ url: path, readOnly: true })],
  "openStorage, immutable": async (path) => [await openStorage({ url: path, readOnly: "immutable" })],
  "createClient that only reads": async (path) => {
    const client = createClient({ url: pathToFileURL(path).href, readOnly: true });
    await client.execute("SELECT count(*) FROM memories");
    return [{ close: () => client.close() }];
  },
  "openStories that only reads": async (path) => [await openStories({ path, readOnly: true })],
  "memvid use that only reads": async (path) => [memvidHandle(await memvid.use("basic", path, { readOnly: true }))],
  "memvid createStorage that only reads": async (path) => {
    const store = await memvid.createStorage({ path, readOnly: true, strict: true });
    await store.stats();
    return [{ close: () => store.close() }];
  },
  "openStorage and close": async (path) => void (await (await openStorage(path)).close()),
  "openStorage by a symbolic link": async (path) => {
    const name = join(mkdtempSync(join(dirname(path), "link-")), "other.db");
    symlinkSync(path, name);
    return [storageHandle(await openStorage(name))];
  },
  "openStorage through a linked folder": async (path) => {
    const name = join(mkdtempSync(join(dirname(path), "link-")), "folder");
    symlinkSync(dirname(path), name);
    return [storageHandle(await openStorage(join(name, "a.db")))];
  },
  createClient: async (path) => {
    const client = createClient({ url: pathToFileURL(path).href });
    await client.execute("SELECT count(*) FROM memories");
    return [{ close: () => client.close() }];
  },
  openStories: async (path) => {
    const stories = await openStories({ backend: "libsql", path });
    await stories.saveStory("one", { text: "of a second opening" });
    return [{ close: () => stories.close() }];
  },
  "memvid create": async (path) => [memvidHandle(await memvid.create(path))],
  "memvid open": async (path) => [memvidHandle(await memvid.open(path))],
  "memvid use": async (path) => [memvidHandle(await memvid.use("basic", path, { mode: "auto" }))],
  "memvid verify": async (path) => void (await memvid.verifyMemvid(path)),
  "memvid put of the database's own file": async (path) => {
    const memory = await memvid.open(path);
    await rejected(memory.put({ file: path }));
    return [memvidHandle(memory)];
  },
  "memvid createStorage": async (path) => {
    const store = await memvid.createStorage({ path, strict: true });
    await store.stats();
    return [{ close: () => store.close() }];
  },
  initDb: async (path) => void (await initDb(path)),
  migrateDb: async (path) => void (await migrateDb(path)),
  backupDb: async (path) => void (await backupDb(path)),
  "a worker that reads": async (path) => void (await inWorker(path, { write: false })),
  "a worker that writes": async (path) => {
    await inWorker(path, { write: true });
    return [{ wrote: 1 }];
  },
  check: async (_, storage) => void (await storage.check()),
  "check, deep": async (_, storage) => void (await storage.check({ deep: true })),
  checkFile: async (path) => void (await checkFile(path)),
  salvage: async (path) => void (await rejected(salvage(path, join(dirname(path), "salvaged.db")))),
  "salvage by a symbolic link": async (path) => {
    const name = join(mkdtempSync(join(dirname(path), "link-")), "other.db");
    symlinkSync(path, name);
    await rejected(salvage(name, join(dirname(path), "salvaged.db")));
  },
  "salvage with a key": async (path) => {
    const destination = join(dirname(path), "salvaged.db");
    await rejected(salvage(path, destination, { encryptionKey: "a key" }));
  },
  "salvage of a copy of it, and over it": async (path, storage) => {
    const copy = join(dirname(path), "copies", "g.db");
    await storage.backup(copy);
    await salvage(copy, join(dirname(path), "salvaged.db"));
    await rejected(salvage(copy, path));
  },
  "holdfast salvage": async (path) => void (await cli("salvage", path, join(dirname(path), "salvaged.db"))),
  backup: async (path, storage) => void (await storage.backup(join(dirname(path), "copies", "b.db"))),
  backups: async (path, storage) => void (await storage.backups(join(dirname(path), "copies"), { keep: 1 })),
  "restore of a backup of it": async (path, storage) => {
    const copy = join(dirname(path), "copies", "c.db");
    await storage.backup(copy);
    await restore(copy, join(dirname(path), "restored.db"));
  },
  "restore of the file itself": async (path) =>
    void (await restore(path, join(dirname(path), "restored.db")).catch(() => undefined)),
  "restore over it": async (path, storage) => {
    const copy = join(dirname(path), "copies", "d.db");
    await storage.backup(copy);
    await rejected(restore(copy, path));
  },
  "restore over it by a symbolic link": async (path, storage) => {
    const copy = join(dirname(path), "copies", "e.db");
    const name = join(mkdtempSync(join(dirname(path), "link-")), "other.db");
    symlinkSync(path, name);
    await storage.backup(copy);
    await rejected(restore(copy, name));
  },
  health: async (_, storage) => void (await storage.health()),
  stats: async (_, storage) => void (await storage.stats()),
  export: async (_, storage) => {
    for await (const _line of storage.export());
  },
  import: async (_, storage) => {
    const lines = [];
    for await (const line of storage.export()) lines.push(line);
    await storage.import(Readable.from(lines), { onConflict: "skip" });
  },
  prune: async (_, storage) => void (await storage.prune({ maxRows: 1000 })),
  reindex: async (_, storage) => void (await storage.reindex()),
  repair: async (_, storage) => void (await storage.repair((await storage.check()).findings)),
  checkpoint: async (_, storage) => void (await storage.client.checkpoint()),
  "status of the migrations": async (_, storage) => {
    const folder = fileURLToPath(new URL("../../../drizzle", import.meta.url));
    await status(storage.client, { folder });
  },
  "holdfast stats": async (path) => void (await cli("stats", "--url", path)),
  "holdfast status": async (path) => void (await cli("status", "--url", path)),
  "holdfast migrate": async (path) => void (await cli("migrate", "--url", path)),
  "holdfast check": async (path) => void (await cli("check", "--url", path)),
  "holdfast prune that is dry": async (path) =>
    void (await cli("prune", "--max-rows", "1", "--dry-run", "--url", path)),
  "holdfast search": async (path) => void (await cli("search", "one", "--url", path)),
  "holdfast export": async (path) => void (await cli("export", "--out", `${path}.jsonl`, "--url", path)),
  "holdfast import of the file itself": async (path) => void (await cli("import", path, "--url", path)),
  "holdfast backup": async (path) => void (await cli("backup", join(dirname(path), "copies", "f.db"), "--url", path)),
  "holdfast prune": async (path) => void (await cli("prune", "--max-rows", "1000", "--url", path)),
  "holdfast reindex": async (path) => void (await cli("reindex", "--url", path)),
  "holdfast restore": async (path) => void (await cli("restore", path, "--url", join(dirname(path), "restored.db"))),
};
// Salvage reads pages itself, under any name of the file.
CALLS["salvage by a hard link"] = async (path) => {
  const name = join(mkdtempSync(join(dirname(path), "link-")), "other.db");
  linkSync(path, name);
  await salvage(name, join(dirname(path), "salvaged.db")).catch(() => undefined);
};
// Opening a hard link by its own name is refused while the file is open by another name.
CALLS["openStorage by a hard link"] = async (path) => {
  const name = join(mkdtempSync(join(dirname(path), "link-")), "other.db");
  linkSync(path, name);
  await openStorage(name).then(
    (storage) => storage.close(),
    () => undefined,
  );
};

/** The locks of this process on the file and its -shm, as `file mode range`. */
function locksOn(path) {
  const lines = readFileSync("/proc/locks", "utf8").split("\n");
  return ["", "-shm"].flatMap((suffix) => {
    const { ino } = statSync(path + suffix);
    return lines.flatMap((line) => {
      const [, , , mode, pid, file, start, end] = line.split(/\s+/);
      if (Number(pid) !== process.pid) return [];
      return file?.endsWith(`:${ino}`) ? [`${suffix || "file"} ${mode} ${start}-${end}`] : [];
    });
  });
}

/** Another process, which opens the file, reads it and closes it completely for each command. */
function startForeign() {
  const child = spawn(
    process.execPath,
    ["--expose-gc", fileURLToPath(new URL("./open-and-close.mjs", import.meta.url))],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(order) {
      child.stdin.write(`${JSON.stringify(order)}\n`);
      const { value } = await answers.next();
      return JSON.parse(value);
    },
    end: () => child.stdin.end(),
  };
}

function makeRandom(start) {
  let state = start >>> 0 || 1;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function inFolder(work) {
  const folder = mkdtempSync(join(dir, "round-"));
  mkdirSync(join(folder, "copies"));
  try {
    return await work(join(folder, "a.db"));
  } finally {
    globalThis.gc?.();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function lookAtLocks(name) {
  return inFolder(async (path) => {
    const storage = await openStorage(path);
    await storage.memories.insert({ content: "one" });
    const before = locksOn(path);
    const handles = (await CALLS[name](path, storage)) ?? [];
    const after = locksOn(path);
    for (const handle of handles) await handle.close?.();
    const afterClose = locksOn(path);
    await storage.close();
    const kept = (locks) => before.every((lock) => locks.includes(lock));
    return { before, after, afterClose, isKept: before.length >= 2 && kept(after) && kept(afterClose) };
  });
}

async function playRound(name, foreign) {
  return inFolder(async (path) => {
    const storage = await openStorage(path);
    let count = 0;
    const insert = async (target) => {
      await target(`memory ${count}`);
      count++;
    };
    const own = (content) => storage.memories.insert({ content });
    await insert(own);
    const handles = (await CALLS[name](path, storage)) ?? [];
    for (const { wrote = 0 } of handles) count += wrote;
    await foreign.ask({ path });
    for (let i = 0; i < 3; i++) await insert(own);
    for (const handle of handles) if (handle.insert !== undefined) await insert(handle.insert);
    await foreign.ask({ path });
    await insert(own);
    for (const handle of handles) await handle.close?.();
    await foreign.ask({ path });
    await insert(own);
    await storage.close();
    const { rows, integrity } = await foreign.ask({ path, verify: true });
    return { lost: count - rows, integrity };
  });
}

const names = Object.keys(CALLS);
for (const name of names) {
  try {
    say({ locks: { name, ...(await lookAtLocks(name)) } });
  } catch (error) {
    say({ locks: { name, isKept: false, error: String(error?.stack ?? error) } });
  }
}
const random = makeRandom(seed);
const foreign = startForeign();
for (let round = 0; round < rounds; round++) {
  // Each call once, then at random.
  const name = round < names.length ? names[round] : names[Math.floor(random() * names.length)];
  try {
    say({ round: { name, ...(await playRound(name, foreign)) } });
  } catch (error) {
    say({ round: { name, lost: -1, integrity: "not known", error: String(error?.stack ?? error) } });
  }
}
foreign.end();
say({ ended: true });
process.exit(0);
