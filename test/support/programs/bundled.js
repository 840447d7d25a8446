// An application: each test bundles it in its way, and runs it in a folder that has only @libsql/client.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkFile, openStorage, salvage } from "holdfast";
import { createClient } from "holdfast/client";
import { status } from "holdfast/migrate";

async function main() {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-bundled-"));
  const path = join(folder, "app.db");
  try {
    const storage = await openStorage(path);
    await storage.memories.insert({ id: "one", content: "a zebra in a bundle" });
    const found = (await storage.memories.search("zebra")).map(({ memory }) => memory.id);
    const checked = await storage.check({ deep: true });
    await storage.backup(join(folder, "backup.db"));
    const copy = await openStorage(":memory:");
    const { inserted } = await copy.import(storage.export());
    await copy.close();
    await storage.close();
    const client = createClient({ url: `file:${path}`, acquireTimeoutMs: 20 });
    const { pending, applied } = await status(client, { migrations: [], table: "app_migrations" });
    const holder = await forgottenCheckout(client);
    await client.close();
    const { ok } = await checkFile(path);
    const { areas } = await salvage(path, join(folder, "saved.db"));
    const saved = areas.find(({ area }) => area === "memories").saved;
    const backup = existsSync(join(folder, "backup.db"));
    const sets = [pending.length, applied.length];
    console.log(JSON.stringify({ found, ok: ok && checked.ok, backup, inserted, sets, saved, holder }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The function that an ACQUIRE_TIMEOUT names as the owner of the connection that it waited for. */
async function forgottenCheckout(client) {
  const checkout = await client.pool.acquire({ role: "writer" });
  const { message } = await client.execute("DELETE FROM memories").catch((error) => error);
  checkout.release();
  return /ms ago at (\w+)/.exec(message)?.[1];
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
