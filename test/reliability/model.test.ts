import { openStorage, type Storage, type StorageTransaction } from "holdfast";
import { expect, test } from "vitest";
import { runChild } from "../support/child.js";
import { type Random, seededRandom } from "../support/random.js";
import { report } from "../support/reliability-table.js";
import { rounds, SOAK_TIMEOUT_MS } from "../support/soak.js";
import { tempDatabase } from "../support/temp.js";

// Random work through two openings of one file in this process, compared with a plain map after each step: concurrent
// calls, transactions, savepoints that are kept or rolled back, and a close at any moment.

type Model = Map<string, string>;
type Writes = { memories: Pick<Storage["memories"], "put" | "purge"> };

/** A change of one record, and the value in the model afterwards. */
interface Change {
  readonly id: string;
  readonly value: string | undefined;
}

const IDS = 40;
const STEPS = 60;

const apply = ({ memories }: Writes, { id, value }: Change) =>
  value === undefined ? memories.purge(id) : memories.put(id, { content: value });

function note(model: Model, { id, value }: Change): void {
  if (value === undefined) model.delete(id);
  else model.set(id, value);
}

test(
  "two openings of a file store the same as a plain map, with transactions, savepoints and a close at any moment",
  async () => {
    const random = seededRandom("model");
    let changes = 0;
    for (const round of rounds(1)) {
      await using db = await tempDatabase();
      const open = async () => openStorage({ url: db.url, busyTimeoutMs: 60_000, checkpoint: { walBytes: 64 * 1024 } });
      const openings = [await open(), await open()];
      const model: Model = new Map();
      for (let step = 0; step < STEPS; step++) {
        const where = `HOLDFAST_SEED=${random.seed}, round ${round}, step ${step}`;
        const at = random.below(2);
        changes += await randomStep(openings[at]!, model, random, async () => {
          openings[at] = await open();
        });
        // Each opening sees the changes of the other.
        expect(await contents(openings[random.below(2)]!), where).toEqual(sorted(model));
        // If another process opens and closes the file, it must not remove locks or the log.
        if (step % 20 === 10) await runChild("storage-writer", { path: db.path, writer: "other", count: 0 });
      }
      for (const storage of openings) {
        expect((await storage.check({ deep: true })).findings.filter(({ severity }) => severity !== "info")).toEqual(
          [],
        );
        await storage.close();
      }
    }
    report({ what: "random work through two openings against a model", tried: changes, unit: "changes", lost: 0 });
  },
  SOAK_TIMEOUT_MS,
);

/**
 * Makes some concurrent calls, a transaction, or calls while the storage closes. Resolves to the number of attempted
 * changes.
 */
async function randomStep(
  storage: Storage,
  model: Model,
  random: Random,
  reopen: () => Promise<void>,
): Promise<number> {
  // Each record occurs once, so that the order of concurrent calls does not matter.
  const ids = new Set(Array.from({ length: 1 + random.below(8) }, () => `m${random.below(IDS)}`));
  const changes = [...ids].map((id): Change => {
    const value =
      random.below(4) === 0 ? undefined : `${id} ${random.below(10 ** 9)} ${"x".repeat(random.below(3000))}`;
    return { id, value };
  });
  const kind = random.below(10);
  if (kind < 4) {
    await Promise.all(changes.map((change) => apply(storage, change)));
    for (const change of changes) note(model, change);
  } else if (kind < 8) {
    await transaction(storage, model, changes, random);
  } else {
    const calls = changes.map((change) => apply(storage, change).then(() => note(model, change)));
    // Some calls have started, and others wait.
    for (let turns = random.below(6); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    const closing = storage.close();
    const outcomes = await Promise.allSettled(calls);
    await closing;
    for (const outcome of outcomes) {
      if (outcome.status === "rejected")
        expect(outcome.reason).toMatchObject({ name: expect.any(String), code: expect.stringMatching(/CLOSED/) });
    }
    await reopen();
  }
  return changes.length;
}

/** A transaction with savepoints, which is sometimes rolled back as a whole. */
async function transaction(storage: Storage, model: Model, changes: readonly Change[], random: Random): Promise<void> {
  const after: Model = new Map(model);
  const undo = new Error("taken back");
  const isKept = random.below(3) > 0;
  const work = async (tx: StorageTransaction) => {
    for (const change of changes) {
      const nested = random.below(3);
      if (nested === 0) {
        await apply(tx, change);
        note(after, change);
      } else if (nested === 1) {
        await tx.savepoint(async (inner) => apply(inner, change));
        note(after, change);
      } else {
        const taken = tx.savepoint(async (inner) => {
          await apply(inner, change);
          throw undo;
        });
        await expect(taken).rejects.toBe(undo);
      }
    }
    if (!isKept) throw undo;
  };
  const done = storage.transaction(work);
  if (!isKept) {
    await expect(done).rejects.toBe(undo);
    return;
  }
  await done;
  model.clear();
  for (const [id, value] of after) model.set(id, value);
}

async function contents(storage: Storage): Promise<[string, string][]> {
  const { items } = await storage.memories.list({ limit: 1000 });
  return sorted(new Map(items.map(({ id, content }) => [id, content])));
}

function sorted(model: Model): [string, string][] {
  return [...model].sort(([a], [b]) => (a < b ? -1 : 1));
}
