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
/**
 * Rows that are indexed together. FTS5 writes out its terms after each statement: by one statement for so many, a row takes
 * a fifth of the time.
 */
const TOGETHER = 256;

const NOTHING: readonly Statement[] = [];

/** The rows of one table that this process stores. */
interface Stream {
  /** Rows since the last pause. */
  rows: number;
  lastAt: number;
  /** Whether new rows may be stored without terms, as far as this process knows. If another one ended that, a trigger notes them. */
  isOpen: boolean;
  /** Rows that wait to be indexed. */
  waiting: number;
  timer: Timer | undefined;
  running: Promise<void> | undefined;
}

/**
 * Indexes new rows of a local file after they were stored, many by one statement, if they come in quick succession. Until
 * then, they wait in the backlog, and searches read them. A failure leaves them there: the next attempt, of any process,
 * indexes them.
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
    if (++stream.waiting >= TOGETHER) this.start(target);
    else this.#startLater(target, stream);
  }

  start(target: SearchTarget): void {
    const stream = this.#streamOf(target);
    if (!this.#isClosed) stream.running ??= this.#run(target, stream);
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
      stream = { rows: 0, lastAt: 0, isOpen: false, waiting: 0, timer: undefined, running: undefined };
      this.#streams.set(target, stream);
    }
    return stream;
  }

  #startLater(target: SearchTarget, stream: Stream): void {
    if (this.#isClosed || stream.timer !== undefined) return;
    stream.timer = unrefTimer(
      setTimeout(() => {
        stream.timer = undefined;
        this.start(target);
      }, PAUSE_MS),
    );
  }

  async #run(target: SearchTarget, stream: Stream): Promise<void> {
    const goesOn = performance.now() - stream.lastAt <= PAUSE_MS;
    stream.isOpen = goesOn;
    stream.waiting = 0;
    try {
      for await (const _ of indexSteps(this.#executor, target, goesOn)) {
        if (this.#isClosed) break;
      }
      // Rows may have been stored in the meantime.
      if (stream.isOpen || stream.waiting > 0) this.#startLater(target, stream);
    } catch {
      // The rows still wait.
    } finally {
      stream.running = undefined;
    }
  }
}
