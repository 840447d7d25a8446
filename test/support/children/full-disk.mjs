// Removes records while no file can grow, and runs out of descriptors: see full-disk.test.ts.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { openStorage } from "holdfast";
import { FileLock } from "holdfast/lock";
import { arm, disarm } from "./faults.mjs";
import { say } from "./workload.mjs";

const { dir } = JSON.parse(process.argv[2]);
const path = join(dir, "work.db");
const content = "words of a record that is to be forgotten ".repeat(45);
const fullDisk = () => arm({ calls: ["pwrite", "write"], mode: "FULL_DISK" });
const tryTo = async (what, work) => {
  const answer = await work().then(
    (value) => ({ value }),
    (error) => ({ code: error.code, name: error.name, message: error.message, removed: error.removed }),
  );
  say({ what, ...answer });
};

const storage = await openStorage(path);
const records = (count) => Array.from({ length: count }, (_, n) => ({ content: `${n} ${content}` }));
for (let n = 0; n < 4; n++) await storage.memories.insertMany(records(300));
await storage.client.checkpoint();
await storage.memories.insertMany(records(60));
const [{ id }] = (await storage.memories.list({ limit: 1 })).items;

// Some of the log's content has no room in the file.
fullDisk();
await tryTo("insert", () => storage.memories.insertMany(records(1500)));
await tryTo("prune", () => storage.prune({ maxRows: 300 }));
await tryTo("count", () => storage.memories.count());
// The log was truncated, and cannot grow.
await tryTo("purge", () => storage.memories.purge(id));
await tryTo("purgeProject", () => storage.purgeProject("default"));
await tryTo("prune without room", () => storage.prune({ maxRows: 10 }));
await tryTo("backup", () => storage.backup(join(dir, "copy.db")));
disarm();
await tryTo("purge again", () => storage.memories.purge(id));
await tryTo("prune again", () => storage.prune({ maxRows: 10 }));

arm({ calls: ["write"], mode: "ENOSPC", pattern: "/lines$" });
const lines = [`{"format":"holdfast","version":1,"counts":{"sessions":0,"memories":1}}\n`];
const [record] = (await storage.export({ area: "memories" }).toArray()).slice(1);
await tryTo("import", () => storage.import([...lines, record], { onConflict: "skip" }));
disarm();

arm({ calls: ["write"], mode: "ENOSPC", pattern: ".new$" });
await tryTo("lock", () => new FileLock(path).acquire(0));
disarm();

// One descriptor is missing for a moment. SQLite then opens a file for reading if it cannot open it for writing.
arm({ calls: ["open"], mode: "EMFILE", pattern: ".partial$", nth: 2 });
await tryTo("backup without a descriptor", () => storage.backup(join(dir, "copy.db")));
disarm();
await tryTo("backup again", async () => void (await storage.backup(join(dir, "copy.db"))));
arm({ calls: ["open"], mode: "EMFILE", pattern: "work.db$" });
const other = await openStorage(path);
say({ what: "opened", value: disarm().fired });
await tryTo("insert without a descriptor", () => other.memories.insert({ content: "x" }));
await tryTo("insert again", async () => void (await other.memories.insert({ content: "x" })));
const { ok } = await storage.check({ deep: true });
say({ what: "check", value: ok });
say({ what: "left", value: readdirSync(dir).filter((name) => /partial|\.lock/.test(name)) });
process.exit(0);
