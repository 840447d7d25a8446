import type { Client } from "@libsql/client";
import { INSERT, itemValues, openBetter, openHoldfast, openStock } from "../databases.js";
import { meanMicros, millis, type Trial } from "../trial.js";

/** The first writes of a process extend the log. Later writes overwrite it. */
const FIRST = { count: 1000, warmup: 20 };
const STEADY = { count: 1000, warmup: 1000 };
const insert = (index: number) => ({ sql: INSERT, args: itemValues(index) });

/** Measures the same work on our client and on the stock client. */
function onBoth(work: (client: Client) => Promise<number>): Pick<Trial, "contenders"> {
  return {
    contenders: {
      holdfast: async ({ folder }) => work(await openHoldfast(folder)),
      "stock client": async ({ folder }) => work(await openStock(folder)),
    },
  };
}

export const singleWrites: Trial = {
  title: "awaited single inserts, one after the other",
  unit: "µs",
  contenders: {
    ...onBoth((client) => meanMicros((i) => client.execute(insert(i)), STEADY)).contenders,
    "better-sqlite3": async ({ folder }) => {
      const statement = openBetter(folder).prepare(INSERT);
      return meanMicros((i) => statement.run(...itemValues(i)), STEADY);
    },
  },
};

export const concurrentWrites: Trial = {
  title: "1,000 concurrent single inserts",
  unit: "ms",
  ...onBoth((client) => millis(() => Promise.all(Array.from({ length: 1000 }, (_, i) => client.execute(insert(i)))))),
};

export const batchWrites: Trial = {
  title: "a batch of 1,000 inserts, the mean of 20",
  unit: "ms",
  ...onBoth(async (client) => {
    const batches = Array.from({ length: 20 }, (_, n) => Array.from({ length: 1000 }, (_, i) => insert(n * 1000 + i)));
    const total = await millis(async () => {
      for (const batch of batches) await client.batch(batch, "write");
    });
    return total / batches.length;
  }),
};

async function transactOnce(client: Client, i: number): Promise<void> {
  const transaction = await client.transaction("write");
  await transaction.execute(insert(i));
  await transaction.commit();
}

export const transactionWrites: Trial = {
  title: "a transaction of one insert, the first 1,000 of a process",
  unit: "µs",
  ...onBoth((client) => meanMicros((i) => transactOnce(client, i), FIRST)),
};

export const transactionWritesLater: Trial = {
  title: "a transaction of one insert, the 1,000 after those",
  unit: "µs",
  ...onBoth((client) => meanMicros((i) => transactOnce(client, i), STEADY)),
};
