import { sql } from "drizzle-orm";
import type { Executor } from "../../areas/executor.js";
import { readAll } from "../../areas/read-all.js";
import { type Statement, selection, toStatement } from "../../areas/statements.js";
import { ALL_VISIBLE, conversations, messages } from "../../schema/conversations.js";
import { runAll } from "./run-all.js";

const c = conversations;
const m = messages;
const conversation = selection({
  rowId: c.rowId,
  project: c.project,
  parent: c.parentRowId,
  prefix: c.prefixSeq,
  forkedFromSeq: c.forkedFromSeq,
  visible: c.visibleSeq,
});
const message = selection({ owner: m.conversationRowId, rowId: m.rowId, seq: m.seq });

interface Thread {
  readonly rowId: number;
  readonly project: string;
  parent: number | undefined;
  readonly prefix: number;
  readonly forkedFromSeq: number | null;
  readonly visible: number;
  /** The numbers of its messages before the repair, in order. */
  readonly seqs: number[];
  readonly messageRows: number[];
  /** Set by `settle`: the parent now, and how many messages it shares with it. */
  settled: { readonly parent: number | undefined; readonly prefix: number } | undefined;
}

/** Renumbers the messages of each conversation without gaps, and adapts the prefixes of its forks to the remaining messages. */
export async function repairConversations(executor: Executor): Promise<void> {
  const threads = await readThreads(executor);
  for (const thread of threads.values()) {
    if (descendsFromItself(thread, threads) || isInAnotherProject(thread, threads)) thread.parent = undefined;
  }
  const statements: Statement[] = [];
  for (const thread of threads.values()) statements.push(...renumber(thread, threads));
  await runAll(executor, statements);
}

/** Only damage can cause this. */
function descendsFromItself(thread: Thread, threads: ReadonlyMap<number, Thread>): boolean {
  const seen = new Set<number>();
  for (let at = thread.parent; at !== undefined && !seen.has(at); at = threads.get(at)?.parent) {
    if (at === thread.rowId) return true;
    seen.add(at);
  }
  return false;
}

/** The project of one of the two is damaged. A fork shows messages of its own project only. */
function isInAnotherProject(thread: Thread, threads: ReadonlyMap<number, Thread>): boolean {
  const parent = thread.parent === undefined ? undefined : threads.get(thread.parent);
  return parent !== undefined && parent.project !== thread.project;
}

async function readThreads(executor: Executor): Promise<Map<number, Thread>> {
  const rows = await readAll(executor, toStatement(sql`select ${conversation.columns} from ${c}`));
  const threads = new Map<number, Thread>();
  for (const row of rows) {
    const { at } = conversation;
    const [parent, forkedFromSeq] = [row[at.parent], row[at.forkedFromSeq]];
    const thread = {
      rowId: Number(row[at.rowId]),
      project: row[at.project] as string,
      parent: parent === null ? undefined : Number(parent),
      prefix: Number(row[at.prefix]),
      forkedFromSeq: forkedFromSeq === null ? null : Number(forkedFromSeq),
      visible: Number(row[at.visible]),
      seqs: [],
      messageRows: [],
      settled: undefined,
    };
    threads.set(thread.rowId, thread);
  }
  const all = await readAll(
    executor,
    toStatement(sql`select ${message.columns} from ${m} order by ${m.conversationRowId}, ${m.seq}`),
  );
  for (const row of all) {
    const thread = threads.get(Number(row[message.at.owner]));
    thread?.messageRows.push(Number(row[message.at.rowId]));
    thread?.seqs.push(Number(row[message.at.seq]));
  }
  return threads;
}

/** How many of the messages that a conversation showed up to `seq` are still there. */
function left(thread: Thread, seq: number, threads: ReadonlyMap<number, Thread>): number {
  const { prefix } = settle(thread, threads);
  const parent = thread.parent === undefined ? undefined : threads.get(thread.parent);
  if (seq <= thread.prefix) return parent === undefined ? 0 : left(parent, seq, threads);
  return prefix + thread.seqs.filter((own) => own <= seq).length;
}

/** A parent always owns the last shared message. If that message is lost, an ancestor may become the parent. */
function settle(thread: Thread, threads: ReadonlyMap<number, Thread>): NonNullable<Thread["settled"]> {
  if (thread.settled !== undefined) return thread.settled;
  let parent = thread.parent === undefined ? undefined : threads.get(thread.parent);
  const prefix = parent === undefined ? 0 : left(parent, thread.prefix, threads);
  while (parent !== undefined && prefix <= settle(parent, threads).prefix) {
    const next: number | undefined = settle(parent, threads).parent;
    parent = next === undefined ? undefined : threads.get(next);
  }
  thread.settled = { parent: parent?.rowId, prefix: parent === undefined ? 0 : prefix };
  return thread.settled;
}

function renumber(thread: Thread, threads: ReadonlyMap<number, Thread>): Statement[] {
  const { parent, prefix } = settle(thread, threads);
  const statements: Statement[] = [];
  if (parent !== thread.parent || prefix !== thread.prefix) {
    const { rowId, visible } = thread;
    const forkedFromSeq = thread.forkedFromSeq === null ? null : Math.min(thread.forkedFromSeq, prefix);
    const visibleSeq = visible === ALL_VISIBLE ? visible : left(thread, visible, threads);
    statements.push(
      toStatement(sql`update ${c} set parent_row_id = ${parent ?? null}, prefix_seq = ${prefix},
        forked_from_seq = ${forkedFromSeq}, visible_seq = ${visibleSeq} where row_id = ${rowId}`),
    );
  }
  const moves = thread.seqs.map((seq, index) => ({ seq, next: prefix + 1 + index, rowId: thread.messageRows[index]! }));
  const moved = moves.filter(({ seq, next }) => seq !== next);
  // In order, a lower number is always free. Damage can require higher numbers: then all get temporary ones first.
  if (moved.some(({ seq, next }) => next > seq)) {
    const lowest = Math.min(0, ...thread.seqs);
    statements.push(
      ...moved.map(({ rowId }, index) =>
        toStatement(sql`update ${m} set seq = ${lowest - 1 - index} where row_id = ${rowId}`),
      ),
    );
  }
  for (const { next, rowId } of moved) {
    // The checksum ends with the seq.
    statements.push(
      toStatement(sql`update ${m} set seq = ${next},
        checksum = substr(checksum, 1, instr(checksum, '.')) || ${String(next)} where row_id = ${rowId}`),
    );
  }
  return statements;
}
