import { join } from "node:path";
import { openStorage, type Storage } from "../../src/storage/storage.js";
import { startServer } from "../../test/support/server.js";
import { wordOf } from "../text.js";
import { meanMicros, millis, type Trial, type TrialContext } from "../trial.js";

const MEMORIES = 5_000;
const WORDS = 12;

/** The text of a memory: the same words in every run, and each number in only a few memories. */
function textOf(index: number): string {
  return Array.from({ length: WORDS }, (_, i) => wordOf((index * (i + 7) * 31) % 1_999)).join(" ");
}

async function fill(storage: Storage): Promise<void> {
  for (let from = 0; from < MEMORIES; from += 500) {
    const inputs = Array.from({ length: 500 }, (_, i) => ({ id: `m${from + i}`, content: textOf(from + i) }));
    await storage.memories.insertMany(inputs);
  }
}

/** Measures the same work on a file, on a server on this machine, and on an embedded replica of one. */
function onEachTarget(work: (storage: Storage) => Promise<number>): Pick<Trial, "contenders"> {
  const run = async (storage: Storage) => {
    await fill(storage);
    const figure = await work(storage);
    await storage.close();
    return figure;
  };
  return {
    contenders: {
      file: async ({ folder }) => run(await openStorage(join(folder, "file.db"))),
      server: async () => {
        await using server = await startServer();
        return await run(await openStorage(server.url));
      },
      "embedded replica": async ({ folder }: TrialContext) => {
        await using server = await startServer();
        return await run(await openStorage({ url: `file:${join(folder, "replica.db")}`, syncUrl: server.url }));
      },
    },
  };
}

export const remoteGet: Trial = {
  title: `targets: memories.get, one of ${MEMORIES}`,
  unit: "µs",
  ...onEachTarget(({ memories }) => meanMicros((i) => memories.get(`m${(i * 37) % MEMORIES}`), { count: 1_000 })),
};

export const remoteInsert: Trial = {
  title: "targets: memories.insert, awaited one after the other",
  unit: "µs",
  ...onEachTarget(({ memories }) => meanMicros((i) => memories.insert({ content: textOf(i) }), { count: 300 })),
};

export const remoteConcurrentInserts: Trial = {
  title: "targets: 1,000 memories.insert started together",
  unit: "ms",
  ...onEachTarget(({ memories }) =>
    millis(() => Promise.all(Array.from({ length: 1_000 }, (_, i) => memories.insert({ content: textOf(i) })))),
  ),
};

export const remoteTransaction: Trial = {
  title: "targets: a transaction of a read and two inserts",
  unit: "µs",
  ...onEachTarget((storage) =>
    meanMicros(
      (i) =>
        storage.transaction(async (tx) => {
          await tx.memories.get(`m${i}`);
          await tx.memories.insert({ content: textOf(i) });
          await tx.memories.insert({ content: textOf(i + 1) });
        }),
      { count: 200 },
    ),
  ),
};

export const remoteSearch: Trial = {
  title: `targets: memories.search for two words, ${MEMORIES} memories`,
  unit: "µs",
  ...onEachTarget(({ memories }) =>
    meanMicros((i) => memories.search(`${wordOf((i * 31) % 1_999)} ${wordOf((i * 17) % 1_999)}`), { count: 200 }),
  ),
};
