// Opens everything by relative paths, changes its working folder, and reports what each call then finds.

import { renameSync } from "node:fs";
import { chdir } from "node:process";
import { checkFile, openStorage } from "holdfast";
import { createClient } from "holdfast/client";
import { FileLock } from "holdfast/lock";
import { create, createStorage } from "holdfast/memvid";

const { dir, elsewhere } = JSON.parse(process.argv[2]);
chdir(dir);
const migrations = { folder: "./drizzle", table: "app_migrations" };
const storage = await openStorage({ url: "app.db", migrations });
const before = (await storage.check()).findings;
const given = (await storage.check({ migrations })).findings;
const closed = (await checkFile("app.db", { migrations })).findings;
const entries = await createStorage({ path: "entries.db", strict: true });
const memory = await create("memory.mv2");
const lock = new FileLock("memory.mv2");
await lock.acquire();
const replica = createClient({ url: "file:replica.db", syncUrl: "http://127.0.0.1:9" });

chdir(elsewhere);
const after = (await storage.check()).findings;
await storage.close();
const date = new Date(0);
for (const suffix of ["", "-wal", "-shm"]) renameSync(`${dir}/entries.db${suffix}`, `${dir}/moved.db${suffix}`);
await entries.write("one", { id: "one", type: "tool", content: "text", metadata: {}, createdAt: date });
await entries.close();
const { locked } = await memory.lockWho();
await lock.release();
await memory.close();
await replica.execute("SELECT 1").catch(() => undefined);
replica.close();
console.log(JSON.stringify({ before, given, closed, after, locked }));
