import { expectation, expectDuration, expectFunction, expectInteger } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { callListener, Listeners } from "../../shared/listeners.js";
import { type Timer, unrefTimer } from "../../shared/timers.js";
import { expectId } from "../arguments.js";
import { newId } from "../ids.js";
import type {
  AutosaveEvents,
  AutosaveState,
  AutosaveStats,
  ConflictResolution,
  StoryConflict,
} from "./autosave-events.js";
import { type Clock, SafeTimers, systemClock } from "./clock.js";
import { forgetAtEnd, saveAtEnd } from "./process-end.js";
import { StoryService } from "./service.js";
import { type StoryData, type StoryMetadata, type StoryMetadataInput, titleIn, toDraft, UNTITLED } from "./story.js";

/** The options of `Autosave`. */
export interface AutosaveOptions {
  /** The service that loads and saves the stories. */
  readonly service: StoryService;
  /** How often all unsaved edits are saved after `start`, in ms. @default 30000 */
  readonly interval?: number | undefined;
  /** How long after the last edit a story is saved, in ms; `Infinity` leaves it to `interval`, `saveNow` and the end. @default 2000 */
  readonly debounce?: number | undefined;
  /** The number of attempts after which the state is `error`. @default 3 */
  readonly maxRetries?: number | undefined;
  /** Decides a conflict. Without it, or if it returns undefined, both sides stay as they are. */
  readonly resolve?:
    | ((conflict: StoryConflict) => ConflictResolution | undefined | Promise<ConflictResolution | undefined>)
    | undefined;
  /** The timers, for tests. @default the system's timers */
  readonly clock?: Clock | undefined;
}

interface Edit {
  /** The story as text, so that the caller can change the object afterwards; undefined once saved. */
  text: string | undefined;
  /** The revision that the edit began from. */
  base: Promise<number>;
  state: "idle" | "saving" | "saved" | "error";
  /** Timers do not save it: only a new edit or `saveNow` can help. */
  isStuck: boolean;
  timer: unknown;
  running: Promise<boolean> | undefined;
  /** It was discarded during a save: the next edit begins from the revision stored then. */
  isDiscarded: boolean;
  /** The text of the attempt at the end of the process. */
  textAtEnd: string | undefined;
}

const NO_EDIT = {
  text: undefined,
  state: "idle",
  isStuck: false,
  timer: undefined,
  running: undefined,
  isDiscarded: false,
  textAtEnd: undefined,
} as const;
/** The longest part of an id that leaves room for the suffix of a copy. */
const MAX_COPIED_ID_CHARS = 900;

/**
 * Saves stories while they are edited: each a short time after its last edit, and all of them at intervals.
 *
 * A save expects the revision from which the edit began, so a change by someone else is a `conflict` and is never
 * overwritten. A story that cannot be saved stays dirty. The remaining edits are saved when you close the service and at
 * the natural end of the process, but not after a signal or `process.exit()`: close the service on SIGTERM and SIGINT.
 */
export class Autosave {
  readonly #service: StoryService;
  readonly #options: { interval: number; debounce: number; maxRetries: number; resolve: AutosaveOptions["resolve"] };
  readonly #timers: SafeTimers;
  readonly #edits = new Map<string, Edit>();
  readonly #events = new Listeners<AutosaveEvents>(["saved", "error", "conflict"]);
  #mode: "ready" | "started" | "paused" | "stopped" = "ready";
  #wasStarted = false;
  #intervalTimer: unknown;
  #forgetService: (() => void) | undefined;
  #counts = { saved: 0, failed: 0, conflicts: 0 };

  /** Throws TypeError or RangeError for wrong options. */
  constructor(options: AutosaveOptions) {
    expectKeys("Autosave", options, ["service", "interval", "debounce", "maxRetries", "resolve", "clock"]);
    const { service, interval = 30_000, debounce = 2_000, maxRetries = 3, resolve, clock = systemClock } = options;
    if (!(service instanceof StoryService)) throw new TypeError(expectation("service", "a StoryService", service));
    expectDuration("interval", interval);
    expectDuration("debounce", debounce);
    expectInteger("maxRetries", maxRetries, 1);
    if (resolve !== undefined) expectFunction("resolve", resolve);
    for (const name of ["setTimeout", "clearTimeout"] as const) expectFunction(`clock.${name}`, clock?.[name]);
    this.#service = service;
    this.#options = { interval, debounce, maxRetries, resolve };
    this.#timers = new SafeTimers(clock);
    this.#forgetService = service.onClose(async () => {
      await this.saveAll();
      this.stop();
      this.#forgetService?.();
      forgetAtEnd(this);
    });
  }

  /**
   * Takes an edited story as it is now, and saves it `debounce` ms after the last edit.
   *
   * An edit begins with the first call after everything was saved. It begins from `revision` if you give one, else from
   * the revision that the service loaded or saved last (`loadStory`, `batchLoad`, a save), else from the stored one. A
   * change by someone else after that revision is a conflict.
   */
  markDirty(id: string, story: StoryData, options: { readonly revision?: number | undefined } = {}): void {
    expectKeys("markDirty", options, ["revision"]);
    const { text } = toDraft(id, story, {}, options.revision);
    const known = this.#edits.get(id);
    const base = options.revision !== undefined ? Promise.resolve(options.revision) : this.#baseOf(id, known);
    // The save that awaits it reports the rejection.
    base.catch(() => undefined);
    const edit: Edit = known ?? { ...NO_EDIT, base };
    edit.text = text;
    edit.base = base;
    edit.isStuck = false;
    edit.isDiscarded = false;
    if (edit.state !== "saving") edit.state = "idle";
    this.#edits.set(id, edit);
    saveAtEnd(this);
    this.#schedule(id, edit);
  }

  /**
   * Drops the unsaved edits of a story; returns false if there are none. A save that has begun continues. The next edit
   * begins as the first one did.
   */
  discard(id: string): boolean {
    expectId(id);
    const edit = this.#edits.get(id);
    if (edit === undefined) return false;
    this.#timers.clear(edit.timer);
    const isDirty = edit.text !== undefined;
    edit.text = undefined;
    edit.isDiscarded = true;
    if (edit.running === undefined) this.#edits.delete(id);
    if (!this.isDirty()) forgetAtEnd(this);
    return isDirty;
  }

  /** Saves a story now, even if paused. Resolves to true if nothing is left to save; after false, `state` says why. */
  async saveNow(id: string): Promise<boolean> {
    expectId(id);
    const edit = this.#edits.get(id);
    if (edit === undefined) return true;
    // An edit during a save needs another save.
    if (edit.running !== undefined) await edit.running;
    if (edit.text === undefined) return true;
    edit.running ??= this.#save(id, edit).finally(() => {
      edit.running = undefined;
      if (edit.text !== undefined) this.#schedule(id, edit);
      else if (edit.isDiscarded) this.#edits.delete(id);
      if (!this.isDirty()) forgetAtEnd(this);
    });
    return edit.running;
  }

  /** Saves all unsaved edits; resolves to the numbers of stories that were saved and that were not. */
  async saveAll(): Promise<{ saved: number; failed: number }> {
    const results = await Promise.all(this.dirty().map((id) => this.saveNow(id)));
    const saved = results.filter(Boolean).length;
    return { saved, failed: results.length - saved };
  }

  /** Starts saving all unsaved edits every `interval` ms. */
  start(): void {
    this.#clearTimers();
    this.#mode = "started";
    this.#scheduleInterval();
    this.#scheduleAll();
  }

  /** Ends automatic saves; unsaved edits stay. */
  stop(): void {
    this.#mode = "stopped";
    this.#clearTimers();
  }

  /** Ends automatic saves until `resume`. */
  pause(): void {
    if (this.#mode === "paused") return;
    this.#wasStarted = this.#mode === "started";
    this.#mode = "paused";
    this.#clearTimers();
  }

  /** Continues as before `pause`. */
  resume(): void {
    if (this.#mode !== "paused") return;
    this.#mode = this.#wasStarted ? "started" : "ready";
    if (this.#wasStarted) this.#scheduleInterval();
    this.#scheduleAll();
  }

  /** Where this story stands. */
  state(id: string): AutosaveState {
    expectId(id);
    const state = this.#edits.get(id)?.state ?? "idle";
    return this.#mode === "paused" && (state === "idle" || state === "saved") ? "paused" : state;
  }

  /** Whether a story has unsaved edits; without an id, whether any story has. */
  isDirty(id?: string): boolean {
    if (id === undefined) return [...this.#edits.values()].some(({ text }) => text !== undefined);
    return this.#edits.get(id)?.text !== undefined;
  }

  /** The ids of the stories with unsaved edits. */
  dirty(): string[] {
    return [...this.#edits].filter(([, { text }]) => text !== undefined).map(([id]) => id);
  }

  /** What this object has done so far. */
  stats(): AutosaveStats {
    return { ...this.#counts, dirty: this.dirty().length };
  }

  /** @internal Tries each unsaved edit once at the end of the process; resolves to the ids that were not saved. */
  async saveAtEnd(): Promise<string[]> {
    const due = [...this.#edits].filter(([, edit]) => edit.text !== undefined && edit.textAtEnd !== edit.text);
    for (const [, edit] of due) edit.textAtEnd = edit.text;
    const saved = await Promise.all(due.map(([id]) => this.saveNow(id).catch(() => false)));
    return due.flatMap(([id], index) => (saved[index] === true ? [] : id));
  }

  /** Adds a listener; the returned function removes it. An error that a listener throws is ignored. */
  on<K extends keyof AutosaveEvents>(event: K, listener: (payload: AutosaveEvents[K]) => unknown): () => void {
    return this.#events.on(event, listener);
  }

  #baseOf(id: string, known: Edit | undefined): Promise<number> {
    // An unsaved edit keeps its beginning, even if the story was loaded again.
    if (known !== undefined && (known.text !== undefined || known.running !== undefined)) return known.base;
    const shown = this.#service.shownRevision(id);
    return shown === undefined ? (known?.base ?? this.#storedRevision(id)) : Promise.resolve(shown);
  }

  async #storedRevision(id: string): Promise<number> {
    return (await this.#service.getMetadata(id))?.revision ?? 0;
  }

  async #save(id: string, edit: Edit): Promise<boolean> {
    this.#timers.clear(edit.timer);
    edit.state = "saving";
    let failure: unknown;
    for (let attempt = 1; attempt <= this.#options.maxRetries; attempt++) {
      const { text } = edit;
      if (text === undefined) return true;
      try {
        const local = JSON.parse(text) as StoryData;
        const { revision } = await this.#service.saveStory(id, local, { expectedRevision: await edit.base });
        return this.#settle(edit, text, revision, true, { id, revision, savedAs: id });
      } catch (error) {
        failure = error;
        if ((error as { code?: unknown }).code !== "CONFLICT") {
          // Reading the revision may have failed for the same reason as the save.
          edit.base = edit.base.catch(() => this.#storedRevision(id));
          edit.base.catch(() => undefined);
          continue;
        }
      }
      try {
        const isSettled = await this.#resolveConflict(id, edit, text);
        if (isSettled !== undefined) return isSettled;
      } catch (error) {
        failure = error;
      }
    }
    return this.#fail(id, edit, failure, this.#options.maxRetries);
  }

  /** Resolves to true or false when the conflict has ended; undefined if the remote side changed again. */
  async #resolveConflict(id: string, edit: Edit, text: string): Promise<boolean | undefined> {
    const { story: remote, revision: remoteRevision, metadata } = await this.#service.loadCurrent(id);
    const conflict = () => ({
      id,
      local: JSON.parse(text) as StoryData,
      remote: remote === undefined ? undefined : (structuredClone(remote) as StoryData),
      remoteRevision,
    });
    this.#counts.conflicts++;
    this.#emit("conflict", conflict);
    const resolution = await this.#options.resolve?.(conflict());
    if (resolution === undefined) {
      edit.isStuck = true;
      return this.#fail(id, edit, undefined, 0);
    }
    if (resolution === "remote") return this.#settle(edit, text, remoteRevision, false);
    if (resolution === "keepBoth") {
      const savedAs = `${id.slice(0, MAX_COPIED_ID_CHARS).toWellFormed()}-conflict-${newId()}`;
      const { local } = conflict();
      const { revision } = await this.#service.saveStory(savedAs, local, {
        metadata: remote === undefined || metadata === undefined ? {} : copiedMetadata(metadata, remote, local),
        expectedRevision: 0,
      });
      return this.#settle(edit, text, remoteRevision, false, { id, revision, savedAs });
    }
    if (resolution !== "local" && typeof resolution !== "object") {
      throw new TypeError(expectation("the resolution", '"local", "remote", "keepBoth" or { merged }', resolution));
    }
    const story = resolution === "local" ? conflict().local : resolution.merged;
    try {
      const { revision } = await this.#service.saveStory(id, story, { expectedRevision: remoteRevision });
      return this.#settle(edit, text, revision, resolution === "local", { id, revision, savedAs: id });
    } catch (error) {
      if ((error as { code?: unknown }).code === "CONFLICT") return undefined;
      throw error;
    }
  }

  /** Ends the save of a text; the next edit begins from `base`. `isStored`: the story is this text now. */
  #settle(edit: Edit, text: string, base: number, isStored: boolean, saved?: AutosaveEvents["saved"]): true {
    const isLatest = edit.text === text;
    // An edit during the save continues this text. If the story is now a different one (remote or merged), that edit is
    // a conflict again.
    if (isLatest || isStored) edit.base = Promise.resolve(base);
    if (isLatest) edit.text = undefined;
    edit.state = edit.text === undefined ? "saved" : "idle";
    if (saved === undefined) return true;
    this.#counts.saved++;
    this.#emit("saved", () => ({ ...saved }));
    return true;
  }

  #fail(id: string, edit: Edit, error: unknown, attempts: number): boolean {
    // It was discarded during the save, so nothing is left to save.
    if (edit.text === undefined) {
      edit.state = "idle";
      return true;
    }
    edit.state = "error";
    this.#counts.failed++;
    if (attempts > 0) this.#emit("error", () => ({ id, error, attempts }));
    return false;
  }

  #schedule(id: string, edit: Edit): void {
    this.#timers.clear(edit.timer);
    // After `maxRetries` failures, the interval or the next edit tries again.
    const isQuiet = this.#mode === "paused" || this.#mode === "stopped";
    if (isQuiet || edit.text === undefined || edit.state === "error") return;
    edit.timer = this.#setTimer(this.#options.debounce, [id], () => void this.#saveQuietly(id));
  }

  #scheduleAll(): void {
    for (const [id, edit] of this.#edits) this.#schedule(id, edit);
  }

  #scheduleInterval(): void {
    this.#intervalTimer = this.#setTimer(this.#options.interval, this.dirty(), () => {
      this.#scheduleInterval();
      for (const [id, edit] of this.#edits) if (edit.text !== undefined && !edit.isStuck) void this.#saveQuietly(id);
    });
    // Timers of edits keep the process alive; the interval alone must not.
    if (this.#intervalTimer !== undefined) unrefTimer(this.#intervalTimer as Timer);
  }

  /** A timer has no caller to reject, so an error of the clock is an error of the stories that wait for it. */
  #setTimer(delayMs: number, ids: readonly string[], task: () => void): unknown {
    return this.#timers.set(task, delayMs, (error) => {
      for (const id of ids) this.#emit("error", () => ({ id, error, attempts: 0 }));
    });
  }

  async #saveQuietly(id: string): Promise<void> {
    // No caller waits: the state and an event report the failure.
    await this.saveNow(id).catch(() => undefined);
  }

  #clearTimers(): void {
    this.#timers.clear(this.#intervalTimer);
    for (const { timer } of this.#edits.values()) this.#timers.clear(timer);
  }

  #emit<K extends keyof AutosaveEvents>(event: K, payload: () => AutosaveEvents[K]): void {
    // A listener that throws is ignored: the event has happened all the same.
    for (const listener of [...this.#events.of(event)])
      callListener(
        () => listener(payload()),
        () => undefined,
      );
  }
}

/** The metadata of a copy: the tags of the story, and its title if the copied text has none. */
function copiedMetadata({ title, tags }: StoryMetadata, remote: StoryData, local: StoryData): StoryMetadataInput {
  const isOwnTitle = titleIn(local) === undefined && title !== (titleIn(remote) ?? UNTITLED);
  return isOwnTitle ? { title, tags } : { tags };
}
