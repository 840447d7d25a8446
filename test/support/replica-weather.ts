import { openStorage, type Storage, type StorageError } from "holdfast";
import { startChild } from "./child.js";
import { type AnswerFault, startProxy } from "./proxy.js";
import type { Random } from "./random.js";
import { contentStatements, differences, readReplicaFile, serverContents } from "./replica-contents.js";
import { startServer } from "./server.js";
import { tempDatabase } from "./temp.js";

export interface ReplicaRun {
  readonly rounds: number;
  /** The number of resolved fetches. The file is checked after each of them. */
  readonly synced: number;
  readonly unavailable: number;
  readonly faults: number;
  readonly serverKills: number;
  readonly clientKills: number;
  readonly acknowledged: number;
  /** The problems, in words. The run ends at the first one. */
  readonly wrong: readonly string[];
}

export interface ReplicaRunOptions {
  readonly random: Random;
  /** Ends after this many rounds, or after `seconds`. */
  readonly rounds: number;
  readonly seconds: number;
}

const SLOTS = 40;
const REQUEST_TIMEOUTS_MS = [700, 1_500, 4_000];

/** One kind of bad connection, requested for each answer. */
function weather(random: Random): () => AnswerFault | undefined {
  const rate = 0.05 + random.next() * 0.2;
  const faults: (() => AnswerFault)[] = [
    () => ({ cutAfterBytes: 1 + random.below(60_000) }),
    () => ({ delayMs: random.below(2_000) }),
    () => ({ bytesPerSecond: 20_000 + random.below(400_000) }),
    () => ({ isSilent: true }),
    () => ({ delayMs: random.below(1_000), cutAfterBytes: 1 + random.below(20_000) }),
  ];
  const [one, other] = [random.pick(faults), random.pick(faults)];
  return () => (random.next() < rate ? random.pick([one, other])() : undefined);
}

/**
 * An embedded replica in a separate process, behind a bad connection, while another client writes to the primary.
 *
 * The ledger records the acknowledged writes outside of both. After each resolved fetch, another process reads the
 * replica's file. SQLite must find no fault, every version that was acknowledged before the fetch began (or a later
 * one) must be there, and transactions must be complete. At the end of each round, the file must equal the primary.
 */
export async function runReplica({ random, rounds, seconds }: ReplicaRunOptions): Promise<ReplicaRun> {
  await using server = await startServer();
  await using proxy = await startProxy(server.port);
  await using folder = await tempDatabase("replica.db");
  const primary = await openStorage({ url: server.url, requestTimeoutMs: 10_000 });
  await using file = readReplicaFile(folder.path);
  const ledger = new Map<string, number>();
  const totals = { rounds: 0, synced: 0, unavailable: 0, faults: 0, serverKills: 0, clientKills: 0, acknowledged: 0 };
  const wrong: string[] = [];
  const writer = new Writer(primary, random, (slot, version) => {
    totals.acknowledged++;
    ledger.set(slot, Math.max(version, ledger.get(slot) ?? 0));
  });
  const start = () => {
    const requestTimeoutMs = random.pick(REQUEST_TIMEOUTS_MS);
    return startChild("replica-holder", { url: folder.url, syncUrl: proxy.url, requestTimeoutMs });
  };
  let child = start();
  let count = 0;
  let version = 1_000_000;

  const ask = async (order: object): Promise<void> => {
    const holder = child;
    const id = ++count;
    const before = new Map(ledger);
    holder.send({ id, ...order });
    type Reply = { id: number; ok: boolean; code?: string; message?: string };
    const reply = await holder.message<Reply>((message) => message.id === id).catch(() => undefined);
    if (reply === undefined) return;
    if (!reply.ok) {
      totals.unavailable++;
      if (!["UNAVAILABLE", "ACQUIRE_TIMEOUT", "BUSY"].includes(reply.code as string)) {
        wrong.push(`a call rejected with ${reply.code}: ${reply.message}`);
      }
      return;
    }
    if ("slot" in order) return;
    totals.synced++;
    const sql = "SELECT project, id, content FROM memories";
    const { integrity, answers } = await file.read([sql]);
    if (integrity.join() !== "ok") wrong.push(`after a fetch: ${integrity.join("; ")}`);
    wrong.push(...faultsOf(answers[0] ?? [], before));
  };

  const running = writer.run();
  try {
    await primary.memories.put("first", { content: "first v1" });
    await child.message<{ ready?: true }>(({ ready }) => ready === true);
    const end = performance.now() + seconds * 1_000;
    while (totals.rounds < rounds && performance.now() < end && wrong.length === 0) {
      const fault = weather(random);
      proxy.behave({
        fault: () => {
          const one = fault();
          if (one !== undefined) totals.faults++;
          return one;
        },
      });
      const orders: object[] = [
        {},
        { slot: `r${random.below(SLOTS)}`, content: `r v${++version} `.repeat(50) },
        {},
        {},
      ];
      const asked = orders.map(ask);
      const kind = random.below(6);
      if (kind === 0) {
        await Promise.race([asked[random.below(asked.length)], proxy.nextRequest()]);
        child.kill();
        await child.exited;
        totals.clientKills++;
        child = start();
      } else if (kind === 1) {
        await Promise.race([asked[random.below(asked.length)], proxy.nextRequest()]);
        await server.kill();
        totals.serverKills++;
        await server.restart();
      }
      await Promise.all(asked);
      proxy.behave({});
      await child.message<{ ready?: true }>(({ ready }) => ready === true);
      await writer.hold(async () => {
        for (const until = performance.now() + 60_000; ; ) {
          const seen = totals.synced;
          await ask({});
          if (totals.synced > seen || wrong.length > 0) break;
          if (performance.now() > until) {
            wrong.push("no fetch resolved within a minute of good weather");
            break;
          }
        }
        const statements = await contentStatements(server.url);
        const { answers } = await file.read(statements);
        wrong.push(...differences(statements, answers, await serverContents(server.url, statements)));
      });
      totals.rounds++;
    }
  } catch (error) {
    wrong.push(`the run failed: ${(error as Error).stack}`);
  } finally {
    writer.stop();
    await running;
    await child[Symbol.asyncDispose]();
    await primary.close();
  }
  return { ...totals, wrong };
}

/** Versions that are missing or older than the acknowledged ones, and transactions that are stored only in part. */
function faultsOf(rows: readonly unknown[], acknowledged: ReadonlyMap<string, number>): string[] {
  const versions = { default: new Map<string, number>(), copies: new Map<string, number>() };
  for (const [project, id, content] of rows as [keyof typeof versions, string, string][]) {
    versions[project].set(id, Number(/v(\d+)/.exec(content)?.[1]));
  }
  const faults: string[] = [];
  for (const [slot, version] of acknowledged) {
    const found = versions.default.get(slot) ?? 0;
    if (found < version)
      faults.push(`${slot} is at version ${found}, and ${version} was acknowledged before the fetch`);
  }
  for (const [slot, version] of versions.copies) {
    if (versions.default.get(slot) !== version) faults.push(`half a transaction of ${slot}`);
  }
  return faults;
}

/** Writes versions of memories to the primary without pause, each to two projects in one transaction. */
class Writer {
  readonly #storage: Storage;
  readonly #random: Random;
  readonly #acknowledge: (slot: string, version: number) => void;
  #isStopped = false;
  #gate: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  constructor(storage: Storage, random: Random, acknowledge: (slot: string, version: number) => void) {
    this.#storage = storage;
    this.#random = random;
    this.#acknowledge = acknowledge;
  }

  async run(): Promise<void> {
    for (let version = 1; !this.#isStopped; version++) {
      if (this.#gate !== undefined) {
        this.#idle?.();
        await this.#gate;
      }
      const slot = `w${this.#random.below(SLOTS)}`;
      const content = `${slot} v${version} `.repeat(1 + this.#random.below(300));
      try {
        await this.#storage.transaction(async (tx) => {
          await tx.memories.put(slot, { content });
          await tx.project("copies").memories.put(slot, { content });
        });
        this.#acknowledge(slot, version);
      } catch (error) {
        // The server may be away. A write with an unknown outcome may or may not be stored.
        const { code } = error as StorageError;
        if (code !== "UNAVAILABLE" && code !== "TRANSACTION_CLOSED") throw error;
      }
    }
    this.#idle?.();
  }

  /** Runs `work` while no writes run. */
  async hold(work: () => Promise<void>): Promise<void> {
    let open!: () => void;
    const isIdle = new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    this.#gate = new Promise((resolve) => {
      open = resolve;
    });
    await isIdle;
    try {
      await work();
    } finally {
      this.#gate = undefined;
      this.#idle = undefined;
      open();
    }
  }

  stop(): void {
    this.#isStopped = true;
  }
}
