import type { ResultSet } from "@libsql/client";
import { getTableName, sql } from "drizzle-orm";
import {
  stories,
  storyContents,
  storyPreferences,
  storyRevisions,
  storySearch,
  storySecrets,
  storySyncQueue,
  storyTags,
} from "../../../schema/stories.js";
import { expectText } from "../../../shared/expectation.js";
import { expectId } from "../../arguments.js";
import type { RepositoryContext } from "../../context.js";
import { insertOf, pick, prepareStatement, type Statement, selection, toStatement } from "../../statements.js";
import { type Preference, type SyncEntry, type SyncEntryInput, toPreference, toSyncEntry } from "../story.js";
import { TextBackend } from "../text-backend.js";
import type { KnownRow } from "./edit.js";

const p = storyPreferences;
const q = storySyncQueue;
const x = storySecrets;
const TOKEN = "GitHub token";
/** All tables of stories, in the order in which they can be emptied. */
export const STORY_TABLES = [storySearch, storyTags, storyRevisions, storyContents, stories, p, q, x];

export const PREFERENCE = pick(p, "project", "key", "value", "scope", "updatedAt");
export const ENTRY = pick(q, "project", "id", "storyId", "action", "data", "timestamp");
export const SECRET = pick(x, "project", "name", "value", "updatedAt");
export const preference = selection(PREFERENCE);
export const entry = selection(ENTRY);
export const secret = selection(SECRET);

const project = sql.placeholder("project");
const isKey = sql`${p.project} = ${project} and ${p.key} = ${sql.placeholder("key")}`;
const isEntry = sql`${q.project} = ${project} and ${q.id} = ${sql.placeholder("id")}`;
const isToken = sql`${x.project} = ${project} and ${x.name} = ${TOKEN}`;
const upsertPreference = insertOf(p, PREFERENCE, { unique: ["project", "key"] });
const selectPreference = prepareStatement(() => sql`select ${preference.columns} from ${p} where ${isKey}`);
const deletePreference = prepareStatement(() => sql`delete from ${p} where ${isKey}`);
// No character sorts after U+10FFFF, so this bounds all continuations.
const selectKeys = prepareStatement(
  () => sql`select ${p.key} from ${p} where ${p.project} = ${project}
  and ${p.key} >= ${sql.placeholder("prefix")} and ${p.key} < ${sql.placeholder("end")} order by ${p.key}`,
);
const upsertEntry = insertOf(q, ENTRY, { unique: ["project", "id"] });
const selectEntries = prepareStatement(
  () => sql`select ${entry.columns} from ${q} where ${q.project} = ${project} order by ${q.rowId}`,
);
const deleteEntry = prepareStatement(() => sql`delete from ${q} where ${isEntry}`);
const deleteEntries = prepareStatement(() => sql`delete from ${q} where ${q.project} = ${project}`);
const upsertToken = insertOf(x, SECRET, { unique: ["project", "name"] });
const selectToken = prepareStatement(() => sql`select ${x.value} from ${x} where ${isToken}`);
const deleteToken = prepareStatement(() => sql`delete from ${x} where ${isToken}`);

/** The statements that remove everything that a project has here, for good. */
export function clearStatements(ofProject: string): Statement[] {
  return STORY_TABLES.map((table) =>
    toStatement(sql`delete from ${sql.identifier(getTableName(table))} where ${table.project} = ${ofProject}`),
  );
}

/** The part of the backend that a project keeps next to its stories: preferences, the sync queue and the token. */
export abstract class LibsqlExtras extends TextBackend<KnownRow> {
  protected readonly context: RepositoryContext;

  constructor(context: RepositoryContext) {
    super(context.now, context.repair);
    this.context = context;
  }

  async savePreference(key: string, given: { readonly value: unknown; readonly scope?: string }): Promise<void> {
    const { json, scope } = toPreference(key, this.repair(given));
    const { project, now } = this.context;
    await this.execute(upsertPreference({ project, key, value: json, scope, updatedAt: now() }));
  }

  async loadPreference(key: string): Promise<Preference | undefined> {
    expectId(key, "key");
    const { rows } = await this.execute(selectPreference({ project: this.context.project, key }));
    const { at } = preference;
    const row = rows[0];
    return row && { value: JSON.parse(row[at.value] as string), scope: row[at.scope] as string };
  }

  async deletePreference(key: string): Promise<boolean> {
    expectId(key, "key");
    return this.#erase(deletePreference({ project: this.context.project, key }));
  }

  async listPreferences(prefix = ""): Promise<string[]> {
    expectText("prefix", prefix, 1000, 0);
    const { project } = this.context;
    const { rows } = await this.execute(selectKeys({ project, prefix, end: `${prefix}\u{10FFFF}` }));
    return rows.map((row) => row[0] as string);
  }

  async addToSyncQueue(input: SyncEntryInput): Promise<SyncEntry> {
    const { project, now } = this.context;
    const { entry, json } = toSyncEntry(input, now);
    await this.execute(upsertEntry({ ...entry, project, data: json, timestamp: entry.timestamp.getTime() }));
    return entry;
  }

  async getSyncQueue(): Promise<SyncEntry[]> {
    const { rows } = await this.execute(selectEntries({ project: this.context.project }));
    const { at } = entry;
    return rows.map((row) => ({
      id: row[at.id] as string,
      storyId: row[at.storyId] as string,
      action: row[at.action] as string,
      data: JSON.parse(row[at.data] as string) as unknown,
      timestamp: new Date(Number(row[at.timestamp])),
    }));
  }

  async removeFromSyncQueue(id: string): Promise<boolean> {
    expectId(id);
    return (await this.execute(deleteEntry({ project: this.context.project, id }))).rowsAffected > 0;
  }

  async clearSyncQueue(): Promise<void> {
    await this.execute(deleteEntries({ project: this.context.project }));
  }

  async saveGithubToken(token: unknown): Promise<void> {
    const { stories: own, project, now } = this.context;
    const value = own.box.seal(project, TOKEN, token);
    await this.execute(upsertToken({ project, name: TOKEN, value, updatedAt: now() }));
  }

  async loadGithubToken(): Promise<unknown> {
    const { stories: own, project } = this.context;
    const { rows } = await this.execute(selectToken({ project }));
    return rows[0] && own.box.open(project, TOKEN, new Uint8Array(rows[0][0] as ArrayBuffer));
  }

  async deleteGithubToken(): Promise<boolean> {
    return this.#erase(deleteToken({ project: this.context.project }));
  }

  protected execute(statement: Statement): Promise<ResultSet> {
    return this.context.executor.execute(statement);
  }

  async #erase(statement: Statement): Promise<boolean> {
    const { rowsAffected } = await this.execute(statement);
    if (rowsAffected > 0) await this.context.erase?.();
    return rowsAffected > 0;
  }
}
