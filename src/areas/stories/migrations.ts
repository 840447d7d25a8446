import { randomUUID } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { absolutePath } from "../../files/absolute-path.js";
import { asFileError, hasErrno } from "../../files/file-error.js";
import { makeFolder } from "../../files/folders.js";
import { pathTaken, placeFile, temporaryName, writeSynced } from "../../files/place-file.js";
import { guardProgress } from "../../shared/callbacks.js";
import { StorageError } from "../../shared/errors.js";
import {
  expectation,
  expectFunction,
  expectObject,
  expectText,
  isObject,
  toBoolean,
} from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { pathText } from "../../shared/locations.js";
import { expectId } from "../arguments.js";
import { InvalidStoryError, noStory } from "./errors.js";
import { toFileName } from "./filesystem/names.js";
import { StoryService } from "./service.js";
import type { StoryData, StoryMetadata } from "./story.js";
import {
  detectVersion,
  nameToTitle,
  type StoryMigration,
  type StoryValidation,
  typeVariables,
  validateStory,
  withVersion,
} from "./story-versions.js";

/** The options of `StoryMigrations`. */
export interface StoryMigrationsOptions {
  /** The service that loads and saves the stories. */
  readonly service: StoryService;
  /** A folder for backups, created when it is needed. Required unless `backup` is false. */
  readonly backupDir?: string | URL | undefined;
}

/** The options of `migrate`. */
export interface MigrateStoryOptions {
  /** The version to migrate to. @default "2.0" */
  readonly target?: string | undefined;
  /** Does everything except saving. @default false */
  readonly dryRun?: boolean | undefined;
  /** Writes the old story into `backupDir` first. @default true */
  readonly backup?: boolean | undefined;
  /** Refuses a result that is not a valid story. @default true */
  readonly validate?: boolean | undefined;
}

/** The result for one story. */
export interface StoryMigrationResult {
  readonly storyId: string;
  readonly fromVersion: string;
  readonly toVersion: string;
  /** False if the story was already at the target, and in a dry run. */
  readonly migrated: boolean;
  readonly dryRun: boolean;
  /** The file with the old story; missing if no backup was written. */
  readonly backupPath?: string;
}

/** The options of `migrateAll`. */
export interface MigrateAllOptions extends MigrateStoryOptions {
  /** Called after each story. */
  readonly onProgress?:
    | ((progress: { readonly done: number; readonly total: number; readonly storyId: string }) => void)
    | undefined;
}

/** How many stories `migrateAll` migrated. */
export interface MigrateAllResult {
  readonly total: number;
  readonly migrated: number;
  /** Stories that were already at the target. */
  readonly skipped: number;
  readonly failed: number;
  /** By id. */
  readonly errors: Record<string, unknown>;
}

/** An entry of `history()`. */
export interface StoryMigrationRecord extends StoryMigrationResult {
  readonly at: Date;
}

const KEYS = ["target", "dryRun", "backup", "validate"];

/** Migrates the content of stories from one format version to another. */
export class StoryMigrations {
  readonly #service: StoryService;
  readonly #backupDir: string | undefined;
  /** By version: the next versions, and the step to each. */
  readonly #hops = new Map<string, Map<string, StoryMigration>>();
  readonly #history: StoryMigrationRecord[] = [];

  constructor(options: StoryMigrationsOptions) {
    expectKeys("StoryMigrations", options, ["service", "backupDir"]);
    const { service } = options;
    const backupDir = pathText("backupDir", options.backupDir);
    if (!(service instanceof StoryService)) throw new TypeError(expectation("service", "a StoryService", service));
    if (backupDir !== undefined && (typeof backupDir !== "string" || backupDir === "")) {
      throw new TypeError(expectation("backupDir", "a folder", backupDir));
    }
    this.#service = service;
    this.#backupDir = backupDir === undefined ? undefined : absolutePath(backupDir);
    this.register("0.9", "1.0", nameToTitle);
    this.register("1.0", "2.0", typeVariables);
  }

  /** Adds a step, and replaces one between the same versions. The step may change the story that it gets. */
  register(from: string, to: string, migration: StoryMigration): void {
    expectText("from", from, 100);
    expectText("to", to, 100);
    expectFunction("migration", migration);
    if (from === to) throw new RangeError(expectation("to", "another version than `from`", to));
    const hops = this.#hops.get(from) ?? new Map<string, StoryMigration>();
    hops.set(to, migration);
    this.#hops.set(from, hops);
  }

  /** `metadata.version`, else what the shape of the story says: "0.9", "1.0" or "2.0". */
  detectVersion(story: StoryData): string {
    expectObject("story", story);
    return detectVersion(story);
  }

  /** Whether the content is a valid story. Changes nothing, and never throws. */
  validate(story: unknown): StoryValidation {
    return validateStory(story);
  }

  /**
   * Migrates a story to `target` by the shortest chain of steps, and saves it unless it was changed concurrently.
   *
   * Rejects with `NOT_FOUND`, with `MIGRATION_FAILED` (no chain of steps, a failed step, a concurrent change), or with
   * `INVALID_STORY`; the story is then unchanged.
   */
  async migrate(id: string, options: MigrateStoryOptions = {}): Promise<StoryMigrationResult> {
    expectId(id);
    expectKeys("migrate", options, KEYS);
    const { target, dryRun, backup, validate } = this.#resolve(options);
    const { story, revision, fromVersion } = await this.#read(id);
    const result = { storyId: id, fromVersion, toVersion: target, dryRun };
    if (fromVersion === target) return { ...result, migrated: false };
    const next = await this.#run(id, story, fromVersion, target);
    const { valid, errors, warnings } = validateStory(next);
    if (validate && !valid) throw new InvalidStoryError(id, errors, warnings);
    if (dryRun) return { ...result, migrated: false };
    const backupPath = backup ? await this.#backUp(id, fromVersion, story, this.#backupDir!) : undefined;
    try {
      await this.#service.saveStory(id, next, { expectedRevision: revision });
    } catch (cause) {
      throw failed(id, fromVersion, target, cause);
    }
    const done = { ...result, migrated: true, ...(backupPath === undefined ? {} : { backupPath }) };
    this.#history.push({ ...done, at: new Date() });
    return done;
  }

  /** Migrates all stories, each separately; `errors` has the stories that stayed unchanged. */
  async migrateAll(options: MigrateAllOptions = {}): Promise<MigrateAllResult> {
    expectKeys("migrateAll", options, [...KEYS, "onProgress"]);
    const { onProgress, ...rest } = guardProgress(options);
    if (onProgress !== undefined) expectFunction("onProgress", onProgress);
    this.#resolve(rest);
    const stories = await this.#service.listStories();
    const errors = new Map<string, unknown>();
    let migrated = 0;
    let skipped = 0;
    for (const [index, { id }] of stories.entries()) {
      try {
        const { fromVersion, toVersion } = await this.migrate(id, rest);
        if (fromVersion === toVersion) skipped++;
        else migrated++;
      } catch (error) {
        errors.set(id, error);
      }
      onProgress?.({ done: index + 1, total: stories.length, storyId: id });
    }
    return { total: stories.length, migrated, skipped, failed: errors.size, errors: Object.fromEntries(errors) };
  }

  /** Saves a backup of this story as a new revision. Rejects with `NOT_FOUND` or `INVALID_STORY`. */
  async rollback(id: string, backup: string | URL): Promise<StoryMetadata> {
    expectId(id);
    const backupPath = pathText("backupPath", backup);
    expectText("backupPath", backupPath, 10_000);
    const text = await readFile(backupPath, "utf8").catch((cause: unknown) => {
      if (!hasErrno(cause, "ENOENT")) throw asFileError(cause, `Cannot read the backup ${backupPath}`);
      throw new StorageError("NOT_FOUND", `There is no backup ${backupPath}`, { cause });
    });
    let story: unknown;
    try {
      story = JSON.parse(text);
    } catch {
      // Reported below, like everything else that is not a story.
    }
    if (!isObject(story)) {
      throw new InvalidStoryError(id, [`${backupPath} does not contain a story`], []);
    }
    return this.#service.saveStory(id, story);
  }

  /** The migrations of this object, oldest first. */
  history(): StoryMigrationRecord[] {
    return this.#history.map((record) => ({ ...record, at: new Date(record.at) }));
  }

  /** Fills in the defaults; throws TypeError or RangeError. */
  #resolve(options: MigrateStoryOptions) {
    const { target = "2.0" } = options;
    expectText("target", target, 100);
    const dryRun = toBoolean("dryRun", options.dryRun);
    const backup = toBoolean("backup", options.backup, true);
    if (backup && !dryRun && this.#backupDir === undefined) {
      throw new TypeError(expectation("backupDir", "a folder, since `backup` is on", undefined));
    }
    return { target, dryRun, backup, validate: toBoolean("validate", options.validate, true) };
  }

  async #read(id: string): Promise<{ story: StoryData; revision: number; fromVersion: string }> {
    const { story, revision } = await this.#service.loadCurrent(id);
    if (story === undefined) throw noStory(id);
    return { story, revision, fromVersion: detectVersion(story) };
  }

  async #run(id: string, story: StoryData, from: string, target: string): Promise<StoryData> {
    const path = this.#pathBetween(from, target);
    if (path === undefined) {
      throw new StorageError(
        "MIGRATION_FAILED",
        `No migration leads story ${JSON.stringify(id)} from ${from} to ${target}: register one`,
      );
    }
    let next = structuredClone(story);
    let at = from;
    for (const { to, migration } of path) {
      try {
        const made = await migration(next);
        expectObject("the migrated story", made);
        next = withVersion(made, to);
      } catch (cause) {
        throw failed(id, at, to, cause);
      }
      at = to;
    }
    return next;
  }

  /** The shortest chain of steps, found by breadth-first search. */
  #pathBetween(from: string, target: string): { to: string; migration: StoryMigration }[] | undefined {
    const paths = new Map<string, { to: string; migration: StoryMigration }[]>([[from, []]]);
    for (const [at, path] of paths) {
      if (at === target) return path;
      for (const [to, migration] of this.#hops.get(at) ?? []) {
        if (!paths.has(to)) paths.set(to, [...path, { to, migration }]);
      }
    }
    return undefined;
  }

  async #backUp(id: string, version: string, story: StoryData, folder: string): Promise<string> {
    const name = `${toFileName(id)}-${toFileName(version)}-${Date.now()}-${randomUUID().slice(0, 8)}.json`;
    const path = join(folder, name);
    // The name of a story may be as long as file names can be.
    const temporary = temporaryName(join(folder, "story"));
    try {
      await makeFolder(folder);
      await writeSynced(temporary, [JSON.stringify(story)]);
      if (!(await placeFile(temporary, path))) throw pathTaken(path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw asFileError(error, `Cannot write a backup to ${folder}`);
    }
    return path;
  }
}

function failed(id: string, from: string, to: string, cause: unknown): StorageError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StorageError(
    "MIGRATION_FAILED",
    `Story ${JSON.stringify(id)} could not be brought from ${from} to ${to}: ${reason}. It was left as it is`,
    { cause },
  );
}
