import { expectText } from "../../../shared/expectation.js";
import type { Repair } from "../../repair.js";
import type { SecretBox } from "../secret.js";
import { type Preference, type SyncEntry, type SyncEntryInput, toPreference, toSyncEntry } from "../story.js";
import { TextBackend } from "../text-backend.js";
import { readTextSync, toFileError } from "./files.js";
import type { FolderMap } from "./folder-map.js";
import type { StoryRecord } from "./record.js";
import { type StoryRoot, TOKEN } from "./root.js";

export interface FilesystemOptions {
  readonly root: string;
  readonly project: string;
  readonly historyLimit: number;
  readonly box: SecretBox;
  readonly now: () => number;
  readonly repair?: Repair | undefined;
}

const TOKEN_NAME = "GitHub token";

/** The part of the backend that a project keeps next to its stories: preferences, the sync queue and the token. */
export abstract class FilesystemExtras extends TextBackend<StoryRecord> {
  protected readonly options: FilesystemOptions;

  constructor(options: FilesystemOptions) {
    super(options.now, options.repair);
    this.options = options;
  }

  /** Throws `CLOSED` if the backend is not open. */
  protected abstract get opened(): {
    readonly root: StoryRoot;
    readonly preferences: FolderMap<Preference>;
    readonly queue: FolderMap<SyncEntry>;
  };

  async savePreference(key: string, preference: { readonly value: unknown; readonly scope?: string }): Promise<void> {
    const { json, scope } = toPreference(key, this.repair(preference));
    await this.guarded(() => this.opened.preferences.set(key, { value: JSON.parse(json), scope }));
  }

  async loadPreference(key: string): Promise<Preference | undefined> {
    return this.guarded(() => this.opened.preferences.get(key));
  }

  async deletePreference(key: string): Promise<boolean> {
    return this.guarded(() => this.opened.preferences.delete(key));
  }

  async listPreferences(prefix = ""): Promise<string[]> {
    expectText("prefix", prefix, 1000, 0);
    const keys = (await this.guarded(() => this.opened.preferences.all())).map(({ key }) => key);
    // In the order of code points, as SQLite sorts.
    return keys.filter((key) => key.startsWith(prefix)).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  async addToSyncQueue(input: SyncEntryInput): Promise<SyncEntry> {
    const { entry } = toSyncEntry(input, this.now);
    await this.guarded(() => this.opened.queue.set(entry.id, entry));
    return entry;
  }

  async getSyncQueue(): Promise<SyncEntry[]> {
    const items = await this.guarded(() => this.opened.queue.all());
    return items.map(({ value }) => ({ ...value, timestamp: new Date(value.timestamp) }));
  }

  async removeFromSyncQueue(id: string): Promise<boolean> {
    return this.guarded(() => this.opened.queue.delete(id));
  }

  async clearSyncQueue(): Promise<void> {
    await this.guarded(() => this.opened.queue.clear());
  }

  async saveGithubToken(token: unknown): Promise<void> {
    const { box, project } = this.options;
    const sealed = Buffer.from(box.seal(project, TOKEN_NAME, token)).toString("base64");
    await this.guarded(() => this.opened.root.locked(() => this.opened.root.write(TOKEN, JSON.stringify({ sealed }))));
  }

  async loadGithubToken(): Promise<unknown> {
    const { box, project } = this.options;
    const text = await this.guarded(async () => readTextSync(this.opened.root.at(TOKEN)));
    if (text === undefined) return undefined;
    const { sealed } = JSON.parse(text) as { sealed: string };
    return box.open(project, TOKEN_NAME, Buffer.from(sealed, "base64"));
  }

  async deleteGithubToken(): Promise<boolean> {
    return this.guarded(() => this.opened.root.locked(() => this.opened.root.remove(TOKEN)));
  }

  protected async guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw toFileError(error);
    }
  }
}
