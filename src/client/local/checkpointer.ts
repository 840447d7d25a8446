import type { LogIdentity } from "../../files/log-identity.js";
import { type Timer, unrefTimer } from "../../shared/timers.js";
import { areCheckpointsObserved, publish } from "../diagnostics.js";
import type { Connection } from "./connection.js";
import { LogGauge } from "./wal-file.js";
import { tryBeginImmediate } from "./write-lock.js";
import type { WriterQueue } from "./writer-queue.js";

/** The result of a checkpoint. */
export interface CheckpointResult {
  /** Frames in the log when it ran. */
  readonly logFrames: number;
  /** Frames that are in the database file now; fewer than all while a reader still needs the old pages. */
  readonly checkpointedFrames: number;
}

interface CheckpointerOptions {
  readonly path: string;
  readonly walBytes: number;
  /** Whether each commit waits for the disk. */
  readonly isDurable: boolean;
  readonly writer: WriterQueue;
  /** The log that the writer has open. */
  readonly identity: LogIdentity;
  /** Opens a connection, with `setup` on it. */
  readonly open: (setup: readonly string[]) => Connection;
}

/** How often the WAL size is checked. */
const LOOK_EVERY_MS = 50;
const LOOK_EVERY_COMMITS = 64;
/**
 * The part of the limit at which a checkpoint is due. SQLite truncates a log that restarts to the limit; below it,
 * later frames overwrite old ones, which costs half of growing the file.
 */
const DUE_AT = 3 / 4;
/** Twice the size that commits of one or two pages each add between two checks. */
const LENGTHEN_BYTES = 1 << 20;
/** Less is not worth a transaction. */
const LENGTHEN_LEAST_BYTES = LENGTHEN_BYTES / 16;
/** Frames have headers, and a new table takes pages as well. */
const ZEROS_PER_BYTE = 0.95;
/** KiB that its connection keeps in memory: pages that a transaction changes beyond them go to the log at once. */
const SETUP = ["PRAGMA cache_size = -40", "PRAGMA wal_autocheckpoint = 0"];
/** A log of one page, at most: that of the commit that resets it. */
const ERASED_BYTES = 32 + 24 + 65_536;
/** Moving so little of the log takes no longer than a commit, and a process that wrote once closes without a thread. */
const LITTLE_BYTES = 1 << 18;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 4000;

/**
 * Moves the WAL into the database file, always with the write lock held.
 *
 * SQLite up to 3.51.2 can lose committed rows when a checkpoint without the lock overlaps a commit that resets the
 * WAL. So the writer takes the lock, a second connection runs PASSIVE off the main thread (which never waits and
 * cannot downgrade, unlike TRUNCATE), and the lock is given back. Then a write that changes nothing resets the log:
 * only the first write after a complete checkpoint can, and there may be no other for hours.
 */
export class Checkpointer {
  readonly #options: CheckpointerOptions;
  readonly #log: LogGauge;
  #connection: Connection | undefined;
  #isQueued = false;
  #pauseMs = 0;
  #notBefore = 0;
  #timer: Timer | undefined;
  #lookTimer: Timer | undefined;
  #lookedAt = 0;
  #commitsUnseen = 0;
  #isClosed = false;
  /** Whether this client may have written to the log. */
  #hasWritten = false;
  /** Whether the log may hold permanently deleted data. */
  #mustErase = false;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
    this.#log = new LogGauge(options.path);
  }

  #isDue(): boolean {
    return this.#mustErase || this.#log.used() >= this.#options.walBytes * DUE_AT;
  }

  /** Must be called after each commit: once the log is past its limit, a checkpoint takes the next turn as writer. */
  afterCommit(): void {
    this.#hasWritten = true;
    // The first commit after the file entered WAL mode has opened the log.
    const { identity, writer } = this.#options;
    if (!identity.isKnown && writer.connection?.isClosed === false) identity.remember();
    if (this.#isQueued || this.#isClosed) return;
    const isDue = performance.now() - this.#lookedAt >= LOOK_EVERY_MS || ++this.#commitsUnseen >= LOOK_EVERY_COMMITS;
    if (isDue) this.#look();
    else if (this.#lookTimer === undefined) {
      // The last of many commits is not followed by another that would look.
      this.#lookTimer = unrefTimer(setTimeout(() => this.#look(), LOOK_EVERY_MS));
    }
  }

  /** Notices that the log that the writer writes to was removed or replaced. */
  checkLog(): void {
    const { identity, writer } = this.#options;
    if (writer.connection?.isClosed === false) identity.check();
  }

  /** Must be called before the writer is closed while the pool is open. */
  forgetLog(): void {
    this.checkLog();
    this.#options.identity.forget();
  }

  #look(): void {
    clearTimeout(this.#lookTimer);
    this.#lookTimer = undefined;
    if (this.#isQueued || this.#isClosed) return;
    this.#lookedAt = performance.now();
    this.#commitsUnseen = 0;
    this.checkLog();
    // A connection that would be opened now would not see the frames of the log that is lost.
    if (this.#options.identity.isLost) return;
    if (!this.#isDue()) {
      this.#pauseMs = 0;
      this.#notBefore = 0;
      this.#lengthen(this.#options.walBytes);
      return;
    }
    if (performance.now() >= this.#notBefore) this.#enqueue();
    // A reader keeps the log from restarting, so it has to grow. SQLite truncates it at the next restart.
    else this.#lengthen(Number.POSITIVE_INFINITY);
  }

  /** Checkpoints now; `writer` is the writer connection, in its turn and outside of a transaction. */
  async run(writer: Connection): Promise<CheckpointResult> {
    this.#assertLog();
    await this.#options.writer.lock(writer);
    return this.#checkpointLocked(writer);
  }

  /**
   * Moves the log into the file and truncates it, so that it holds no deleted data; `writer` as in `run`.
   * If another connection reads an older state, or another process holds the write lock, this is not possible now. It is
   * tried again every few seconds, and by closing.
   */
  async erase(writer: Connection): Promise<void> {
    this.#mustErase = true;
    this.#assertLog();
    await this.#options.writer.lock(writer);
    await this.#checkpointLocked(writer);
    if (this.#mustErase) this.#backOff();
  }

  /** Erases the log soon, without waiting for it. */
  eraseSoon(): void {
    this.#mustErase = true;
    this.afterCommit();
  }

  /**
   * Moves the whole log into the file, unless another process is writing; part of closing. A client that wrote nothing
   * leaves the log to those who wrote it: reading a file costs no sync. If the log is lost, this is the only chance to
   * keep what is in it.
   */
  async runLast(writer: Connection): Promise<void> {
    this.checkLog();
    if (!this.#hasWritten) return;
    if (this.#options.identity.isLost) this.#saveLost(writer);
    else if (this.#log.size() > 0 && tryBeginImmediate(writer)) await this.#checkpointLocked(writer);
  }

  /**
   * Only the writer is sure to have the lost log, so it has to run the checkpoint itself, which takes the write lock.
   * (That it is free is checked before, since otherwise SQLite would go on without it.)
   */
  #saveLost(writer: Connection): void {
    if (!this.#options.identity.isUnseen() || !tryBeginImmediate(writer)) return;
    writer.rollback();
    writer.exec("PRAGMA wal_checkpoint(FULL)");
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#lookTimer);
    this.#connection?.close();
    this.#connection = undefined;
  }

  #enqueue(): void {
    clearTimeout(this.#timer);
    this.#enqueueTurn((connection) => this.#runIfFree(connection)).finally(() => this.#backOff());
  }

  async #enqueueTurn(work: (writer: Connection) => Promise<void>): Promise<void> {
    this.#isQueued = true;
    try {
      await this.#options.writer.turn(work, { first: true });
    } catch {
      // A checkpoint that fails loses nothing: the log stays, and the next commit tries again.
    } finally {
      this.#isQueued = false;
    }
  }

  /**
   * Makes room for later durable commits, between two of them: a commit that overwrites the log costs half of one that
   * makes the file longer, which the file system has to record.
   *
   * SQLite itself makes it longer, by a transaction that is too large for its cache and is rolled back. (Not the
   * writer's connection, whose prepared statements a table that comes and goes would make invalid.)
   */
  #lengthen(limit: number): void {
    if (!this.#options.isDurable) return;
    const size = this.#log.size();
    const used = this.#log.used();
    const target = Math.min(size + LENGTHEN_BYTES, limit);
    if (size === 0 || target - size < LENGTHEN_LEAST_BYTES || used + LENGTHEN_BYTES / 2 < size) return;
    // On this thread: it takes a few milliseconds, and nothing that waits for its turn sees any of them pass.
    this.#enqueueTurn(async () => {
      const connection = this.#open();
      const zeros = `zeroblob(${Math.round((target - used) * ZEROS_PER_BYTE)})`;
      const table = "holdfast_room_in_the_log";
      try {
        connection.exec(
          `BEGIN IMMEDIATE; CREATE TABLE ${table} (zeros); INSERT INTO ${table} VALUES (${zeros}); ROLLBACK`,
        );
      } finally {
        connection.rollback();
      }
    });
  }

  #assertLog(): void {
    this.checkLog();
    this.#options.identity.assertInPlace();
  }

  #open(): Connection {
    this.#connection ??= this.#options.open(SETUP);
    return this.#connection;
  }

  /** Gives way to another process that holds the lock: it sees the size of the log as well. */
  async #runIfFree(writer: Connection): Promise<void> {
    this.#assertLog();
    if (tryBeginImmediate(writer)) await this.#checkpointLocked(writer);
  }

  async #checkpointLocked(writer: Connection): Promise<CheckpointResult> {
    const startedAt = performance.now();
    const connection = this.#open();
    const passive = "PRAGMA wal_checkpoint(PASSIVE)";
    try {
      if (this.#log.used() > LITTLE_BYTES) await connection.execOffThread(passive);
      // After the other thread, this only tells how far it came.
      const [, logFrames, checkpointedFrames] = connection.query(passive)[0]!.map(Number);
      writer.rollback();
      const isComplete = logFrames === checkpointedFrames && tryBeginImmediate(writer);
      if (isComplete) this.#resetLog(writer);
      if (areCheckpointsObserved()) {
        const durationMs = performance.now() - startedAt;
        publish("checkpoint", { durationMs, frames: checkpointedFrames!, busy: !isComplete });
      }
      return { logFrames: logFrames!, checkpointedFrames: checkpointedFrames! };
    } finally {
      writer.rollback();
    }
  }

  #resetLog(writer: Connection): void {
    if (!this.#mustErase) {
      resetLog(writer);
      return;
    }
    const [[limit]] = writer.query("PRAGMA journal_size_limit") as [[bigint]];
    writer.exec("PRAGMA journal_size_limit = 0");
    try {
      resetLog(writer);
    } finally {
      writer.exec(`PRAGMA journal_size_limit = ${limit}`);
    }
    // A reader of an older state keeps the log from restarting, and so from being truncated.
    if (this.#log.size() <= ERASED_BYTES) this.#mustErase = false;
  }

  /** While a reader keeps the log from being reset, tries again after ever longer pauses, also without commits. */
  #backOff(): void {
    if (this.#isClosed || !this.#isDue()) return;
    this.#pauseMs = Math.min(Math.max(this.#pauseMs * 2, FIRST_PAUSE_MS), LONGEST_PAUSE_MS);
    this.#notBefore = performance.now() + this.#pauseMs;
    this.#timer = unrefTimer(setTimeout(() => this.#look(), this.#pauseMs + 1));
  }
}

/** A commit of page 1 as it is: the first frame after a complete checkpoint goes to the start of the log. */
function resetLog(writer: Connection): void {
  const [version] = writer.query("PRAGMA user_version")[0] as [bigint];
  writer.exec(`PRAGMA user_version = ${version}`);
  writer.exec("COMMIT");
}
