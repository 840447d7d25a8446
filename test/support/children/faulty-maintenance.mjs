// Runs one maintenance call repeatedly, and makes its n-th call to the file system fail, for every `stride`-th n.
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openStorage, restore } from "holdfast";
import { createClient } from "holdfast/client";
import { migrate } from "holdfast/migrate";
import { arm, disarm } from "./faults.mjs";
import { say, seeded } from "./workload.mjs";

const { dir, seed, scenario, faults, stride } = JSON.parse(process.argv[2]);
const DRIZZLE = fileURLToPath(new URL("../../../drizzle", import.meta.url));
const ROWS = 30;
const random = seeded(seed);
const at = (name) => join(dir, name);
const inputs = (word) =>
  Array.from({ length: ROWS }, (_, n) => ({ id: `${word}${n}`, content: `${word} ${n} ${"x".repeat(2000)}` }));

async function filled(path, word) {
  const storage = await openStorage(path);
  await storage.memories.insertMany(inputs(word));
  return storage;
}

/** The first words of the memories in a file, and the number of memories. */
async function words(path) {
  const storage = await openStorage(path);
  try {
    const { items } = await storage.memories.list({ limit: 1000 });
    return [...new Set(items.map(({ content }) => content.split(" ")[0]))].join() + items.length;
  } finally {
    await storage.close();
  }
}

async function integrity(path) {
  const client = createClient({ url: `file:${path}` });
  try {
    return (await client.execute("PRAGMA integrity_check")).rows[0][0];
  } finally {
    await client.close();
  }
}

/**
 * Each entry returns `run`, which meets the fault, and `check`, which returns the problems after it was refused or not.
 */
const SCENARIOS = {
  async backup() {
    const storage = await filled(at("work.db"), "present");
    const copy = at("copies/copy.db");
    return {
      run: () => storage.backup(copy),
      async check(error) {
        if (error !== undefined) {
          const left = existsSync(at("copies")) ? readdirSync(at("copies")) : [];
          if (left.length > 0) return `it was refused and left ${left}`;
          await storage.backup(copy);
        }
        const found = `${await integrity(copy)} ${await words(copy)}`;
        rmSync(at("copies"), { recursive: true });
        return found === `ok present${ROWS}` ? undefined : `the copy has ${found}`;
      },
    };
  },

  async restore() {
    for (const word of ["old", "new"]) {
      const storage = await filled(at(`${word}.db`), word);
      await storage.backup(at(`${word}-copy.db`));
      await storage.close();
    }
    const target = at("work.db");
    await restore(at("old-copy.db"), target);
    return {
      run: () => restore(at("new-copy.db"), target),
      async check(error) {
        const found = await words(target);
        const either = [`old${ROWS}`, `new${ROWS}`];
        if (!either.includes(found)) return `the target has ${found}`;
        if (error === undefined && found !== either[1]) return `it was restored and has ${found}`;
        if (error !== undefined) await restore(at("new-copy.db"), target);
        const again = await words(target);
        for (const name of readdirSync(dir)) if (name.includes("-before-restore")) rmSync(at(name));
        await restore(at("old-copy.db"), target);
        return again === either[1] ? undefined : `the second restore left ${again}`;
      },
    };
  },

  async import() {
    const storage = await filled(at("work.db"), "present");
    let lines = "";
    for await (const line of storage.export()) lines += line;
    const other = await openStorage(at("other.db"));
    return {
      run: () => other.import(lines),
      async check(error) {
        const found = await other.memories.count();
        if (error !== undefined && found !== 0) return `it was refused and left ${found}`;
        if (error !== undefined) await other.import(lines);
        const again = await other.memories.count();
        await other.purgeProject("default");
        return again === ROWS ? undefined : `${again} were imported`;
      },
    };
  },

  async prune() {
    const storage = await openStorage(at("work.db"));
    const policy = { area: "memories", maxRows: 10 };
    await storage.memories.insertMany(inputs("present"));
    return {
      run: () => storage.prune(policy),
      async check(error) {
        const found = await storage.memories.count();
        // Records are removed in steps, each of them completely.
        if (error === undefined && found !== 10) return `${found} were kept`;
        if (found < 10 || found > ROWS) return `it was refused, and ${found} are left`;
        if (error !== undefined) await storage.prune(policy);
        const again = await storage.memories.count();
        await storage.purgeProject("default");
        await storage.memories.insertMany(inputs("present"));
        return again === 10 ? undefined : `${again} were kept by the second call`;
      },
    };
  },

  async migration() {
    const client = createClient({ url: `file:${at("old.db")}` });
    await migrate(client, { folder: DRIZZLE, to: "0001_memories_search" });
    await client.execute(
      "INSERT INTO memories (project, id, type, source, content, metadata, created_at, updated_at, content_hash, checksum, search_text) VALUES ('default', 'a', 'context', 'x', 'old row', '{}', 1, 1, 'h', 'c', 'old row')",
    );
    await client.close();
    let n = 0;
    let path;
    const renew = () => {
      path = at(`try-${n++}/work.db`);
      return path;
    };
    let opened;
    return {
      before() {
        for (const name of readdirSync(dir)) if (name.startsWith("try-")) rmSync(at(name), { recursive: true });
        copyTo(renew());
      },
      async run() {
        opened = undefined;
        opened = await openStorage(path);
      },
      async check() {
        await opened?.close();
        const found = await words(path);
        return found === "old1" ? undefined : `after it the file has ${found}`;
      },
    };
  },

  async open() {
    let n = 0;
    let opened;
    return {
      before: () => n++,
      async run() {
        opened = undefined;
        opened = await openStorage(at(`new-${n}/work.db`));
      },
      async check() {
        await opened?.close();
        const storage = await filled(at(`new-${n}/work.db`), "present");
        await storage.close();
        const found = await words(at(`new-${n}/work.db`));
        rmSync(at(`new-${n}`), { recursive: true });
        return found === `present${ROWS}` ? undefined : `after it the file has ${found}`;
      },
    };
  },
};

function copyTo(path) {
  rmSync(join(path, ".."), { recursive: true, force: true });
  mkdirSync(join(path, ".."));
  copyFileSync(at("old.db"), path);
}

const { before = () => undefined, run, check } = await SCENARIOS[scenario]();
for (const fault of faults) {
  for (let nth = 1 + random.below(stride); ; nth += stride) {
    before();
    arm({ ...fault, nth });
    const error = await run().then(
      () => undefined,
      (reason) => reason,
    );
    const { fired, path, call } = disarm();
    const what = `${scenario}: ${call} ${nth} of ${path.slice(dir.length + 1)} with ${fault.mode}`;
    const wrong = await check(error).catch((reason) => `the next call failed: ${reason.code} ${reason.stack}`);
    if (wrong !== undefined) say({ problem: `${what}: ${wrong} (${error?.code} ${error?.message})` });
    if (fired === 0) {
      if (error !== undefined) say({ problem: `${scenario} without a fault: ${error.stack}` });
      break;
    }
    say({
      fired,
      what,
      code: error === undefined ? null : (error.code ?? "none"),
      isStorageError: error?.name === "StorageError",
    });
  }
}
process.exit(0);
