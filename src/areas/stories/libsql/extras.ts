import { getTableName, sql } from "drizzle-orm";
import { v7 as uuidv7 } from "uuid";
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
import { asStorageErrors } from "../../executor.js";
import { prepareStatement, type Statement, toStatement } from "../../statements.js";
import { type Preference, type SyncEntry, type SyncEntryInput, toPreference, toSyncEntry } from "../story.js";
import type { StoryContext } from "./backend.js";

const p = storyPreferences;
const q = storySyncQueue;
const x = storySecrets;
const TOKEN = "GitHub token";
const TABLES = [storySearch, storyTags, storyRevisions, storyContents, stories, p, q, x];

const project = sql.placeholder("project");
const isKey = sql`${p.project} = ${project} and ${p.key} = ${sql.placeholder("key")}`;
const isEntry = sql`${q.project} = ${project} and ${q.id} = ${sql.placeholder("id")}`;
const isToken = sql`${x.project} = ${project} and ${x.name} = ${TOKEN}`;
const upsertPreference = prepareStatement(
  sql`insert into ${p} (project, key, value, scope, updated_at) values (${project}, ${sql.placeholder("key")},
    ${sql.placeholder("value")}, ${sql.placeholder("scope")}, ${sql.placeholder("now")})
    on conflict (project, key) do update set value = excluded.value, scope = excluded.scope, updated_at = excluded.updated_at`,
);
const selectPreference = prepareStatement(sql`select ${p.value}, ${p.scope} from ${p} where ${isKey}`);
const deletePreference = prepareStatement(sql`delete from ${p} where ${isKey}`);
// No character sorts after U+10FFFF, so this bounds all continuations.
const selectKeys = prepareStatement(sql`select ${p.key} from ${p} where ${p.project} = ${project}
  and ${p.key} >= ${sql.placeholder("prefix")} and ${p.key} < ${sql.placeholder("end")} order by ${p.key}`);
const upsertEntry = prepareStatement(
  sql`insert into ${q} (project, id, story_id, action, data, timestamp) values (${project}, ${sql.placeholder("id")},
    ${sql.placeholder("storyId")}, ${sql.placeholder("action")}, ${sql.placeholder("data")}, ${sql.placeholder("timestamp")})
    on conflict (project, id) do update set story_id = excluded.story_id, action = excluded.action, data = excluded.data,
      timestamp = excluded.timestamp`,
);
const selectEntries = prepareStatement(
  sql`select ${q.id}, ${q.storyId}, ${q.action}, ${q.data}, ${q.timestamp} from ${q} where ${q.project} = ${project}
    order by ${q.rowId}`,
);
const deleteEntry = prepareStatement(sql`delete from ${q} where ${isEntry}`);
const deleteEntries = prepareStatement(sql`delete from ${q} where ${q.project} = ${project}`);
const upsertToken = prepareStatement(
  sql`insert into ${x} (project, name, value, updated_at) values (${project}, ${TOKEN}, ${sql.placeholder("value")},
    ${sql.placeholder("now")}) on conflict (project, name) do update set value = excluded.value, updated_at = excluded.updated_at`,
);
const selectToken = prepareStatement(sql`select ${x.value} from ${x} where ${isToken}`);
const deleteToken = prepareStatement(sql`delete from ${x} where ${isToken}`);

/** What removes everything that a project has here, for good. */
export function clearStatements(ofProject: string): Statement[] {
  return TABLES.map((table) =>
    toStatement(sql`delete from ${sql.identifier(getTableName(table))} where ${table.project} = ${ofProject}`),
  );
}

/** Preferences, the queue of changes to sync, and the token: what a project keeps next to its stories. */
export class LibsqlExtras {
  readonly #context: StoryContext;

  constructor(context: StoryContext) {
    this.#context = context;
  }

  async savePreference(key: string, preference: unknown): Promise<void> {
    const { json, scope } = toPreference(key, preference);
    await this.#execute(upsertPreference, { key, value: json, scope, now: this.#context.now() });
  }

  async loadPreference(key: string): Promise<Preference | undefined> {
    expectId(key, "key");
    const { rows } = await this.#execute(selectPreference, { key });
    return rows[0] === undefined ? undefined : { value: JSON.parse(rows[0][0] as string), scope: rows[0][1] as string };
  }

  async deletePreference(key: string): Promise<boolean> {
    expectId(key, "key");
    return this.#remove(deletePreference, { key });
  }

  async listPreferences(prefix = ""): Promise<string[]> {
    expectText("prefix", prefix, 1000, 0);
    const { rows } = await this.#execute(selectKeys, { prefix, end: `${prefix}\u{10FFFF}` });
    return rows.map((row) => row[0] as string);
  }

  async addToSyncQueue(input: SyncEntryInput): Promise<SyncEntry> {
    const { entry, json } = toSyncEntry(input, this.#context.now, uuidv7);
    await this.#execute(upsertEntry, { ...entry, data: json, timestamp: entry.timestamp.getTime() });
    return entry;
  }

  async getSyncQueue(): Promise<SyncEntry[]> {
    const { rows } = await this.#execute(selectEntries, {});
    return rows.map((row) => ({
      id: row[0] as string,
      storyId: row[1] as string,
      action: row[2] as string,
      data: JSON.parse(row[3] as string) as unknown,
      timestamp: new Date(Number(row[4])),
    }));
  }

  async removeFromSyncQueue(id: string): Promise<boolean> {
    expectId(id);
    return (await this.#execute(deleteEntry, { id })).rowsAffected > 0;
  }

  async clearSyncQueue(): Promise<void> {
    await this.#execute(deleteEntries, {});
  }

  async saveGithubToken(token: unknown): Promise<void> {
    const { box, now } = this.#context;
    await this.#execute(upsertToken, { value: box.seal(this.#context.project, TOKEN, token), now: now() });
  }

  async loadGithubToken(): Promise<unknown> {
    const { rows } = await this.#execute(selectToken, {});
    if (rows[0] === undefined) return undefined;
    return this.#context.box.open(this.#context.project, TOKEN, new Uint8Array(rows[0][0] as ArrayBuffer));
  }

  async deleteGithubToken(): Promise<boolean> {
    return this.#remove(deleteToken, {});
  }

  async #remove(statement: ReturnType<typeof prepareStatement>, values: Record<string, string>): Promise<boolean> {
    const { rowsAffected } = await this.#execute(statement, values);
    if (rowsAffected > 0) await this.#context.erase?.();
    return rowsAffected > 0;
  }

  #execute(statement: ReturnType<typeof prepareStatement>, values: Parameters<ReturnType<typeof prepareStatement>>[0]) {
    const { project: own, executor } = this.#context;
    return asStorageErrors(() => executor.execute(statement({ project: own, ...values })));
  }
}
