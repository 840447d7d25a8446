import type { SearchTarget } from "../search/request.js";
import { type Timer, unrefTimer } from "../shared/timers.js";
import type { RowIndexer } from "./context.js";
import type { Executor } from "./executor.js";
import { indexSteps, openBacklog } from "./search-backlog.js";
import type { Statement } from "./statements.js";

/** Rows that follow one another more slowly than this are indexed as they are stored. */
const PAUSE_MS = 100;
/** So are the first rows after a pause: an index that is complete costs little then, and searches need not read rows. */
const FIRST_ROWS = 32;
/** Rows that are indexed together, by one statement: FTS5 writes out its terms after each. */
const TOGETHER = 256;

/** A search that finds so many rows waiting has them indexed at once, so that the next one need not read them. */
const MANY_ROWS = 32;
/** Fewer are indexed after this time, in which a program that is storing rows has done so itself. */
const LEFT_OVER_MS = 2000;
/** Longest time between attempts that fail. */
const LONGEST_PAUSE_MS = 60_000;

const NOTHING: readonly Statement[] = [];

/** The rows of one table that this process stores. */
interface Stream {
  /** Rows since the last pause. */
  rows: number;
  lastAt: number;
  /**
   * Whether the backlog has a range for new rows, as far as this process knows. If another process has removed it, a trigger
   * notes each row.
   */
  isOpen: boolean;
  /** Rows that wait to be indexed. */
  waiting: number;
  timer: Timer | undefined;
  /** When the timer fires. */
  dueAt: number;
  /** Time until the next attempt, if one fails. */
  retryMs: number;
  running: Promise<void> | undefined;
}

/**
 * Indexes new rows of a local file after they were stored, many by one statement, if they come in quick succession. Until
 * then, they wait in the backlog, and searches read them. A failure leaves them there for the next attempt, of this process
 * or another.
 */
export class LateIndexer implements RowIndexer {
  readonly #executor: Executor;
  readonly #streams = new Map<SearchTarget, Stream>();
  #isClosed = false;

  constructor(executor: Executor) {
    this.#executor = executor;
  }

  defer(target: SearchTarget): readonly Statement[] | undefined {
    const stream = this.#streamOf(target);
    const now = performance.now();
    if (now - stream.lastAt > PAUSE_MS) stream.rows = 0;
    stream.lastAt = now;
    if (++stream.rows <= FIRST_ROWS || this.#isClosed) return undefined;
    if (stream.isOpen) return NOTHING;
    stream.isOpen = true;
    return [openBacklog(target)];
  }

  stored(target: SearchTarget): void {
    const stream = this.#streamOf(target);
    if (++stream.waiting >= TOGETHER) this.#start(target, stream);
    else this.#startIn(PAUSE_MS, target, stream);
  }

  noticed(target: SearchTarget, rowCount: number): void {
    const stream = this.#streamOf(target);
    if (rowCount >= MANY_ROWS) this.#start(target, stream);
    else this.#startIn(LEFT_OVER_MS, target, stream);
  }

  /**
   * Leaves the rows that wait to others: hardly more than are indexed together. The client rolls back a step that runs when
   * it is closed.
   */
  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#streams.values()) clearTimeout(timer);
  }

  #streamOf(target: SearchTarget): Stream {
    let stream = this.#streams.get(target);
    if (stream === undefined) {
      stream = {
        rows: 0,
        lastAt: 0,
        isOpen: false,
        waiting: 0,
        timer: undefined,
        dueAt: 0,
        retryMs: PAUSE_MS,
        running: undefined,
      };
      this.#streams.set(target, stream);
    }
    return stream;
  }

  #startIn(delayMs: number, target: SearchTarget, stream: Stream): void {
    const dueAt = performance.now() + delayMs;
    if (this.#isClosed || (stream.timer !== undefined && stream.dueAt <= dueAt)) return;
    clearTimeout(stream.timer);
    stream.dueAt = dueAt;
    stream.timer = unrefTimer(
      setTimeout(() => {
        stream.timer = undefined;
        this.#start(target, stream);
      }, delayMs),
    );
  }

  #start(target: SearchTarget, stream: Stream): void {
    if (!this.#isClosed) stream.running ??= this.#run(target, stream);
  }

  /** Indexes the rows that wait, in steps that let others write. */
  async #run(target: SearchTarget, stream: Stream): Promise<void> {
    const goesOn = performance.now() - stream.lastAt <= PAUSE_MS;
    stream.isOpen = goesOn;
    stream.waiting = 0;
    try {
      for await (const _ of indexSteps(this.#executor, target, goesOn)) {
        if (this.#isClosed) return;
      }
      stream.retryMs = PAUSE_MS;
      // Rows may have been stored in the meantime.
      if (stream.isOpen || stream.waiting > 0) this.#startIn(PAUSE_MS, target, stream);
    } catch {
      // The rows still wait.
      this.#startIn(stream.retryMs, target, stream);
      stream.retryMs = Math.min(2 * stream.retryMs, LONGEST_PAUSE_MS);
    } finally {
      stream.running = undefined;
    }
  }
}
