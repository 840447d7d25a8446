import type { Row } from "@libsql/client";
import { sql } from "drizzle-orm";
import { sessions } from "../../schema/sessions.js";
import { expectArray } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectLimit, toMillis, toSqlLimit } from "../arguments.js";
import { atRecord, batchErrorIn, checkEach, isOfRecord } from "../batch.js";
import type { ChangeAction, RepositoryContext } from "../context.js";
import { decodeCursor, encodeCursor, type Page, toPage } from "../cursor.js";
import { newId } from "../ids.js";
import type { IfOptional, Metadata } from "../metadata.js";
import { announce, notFound, readMany } from "../repository.js";
import { all, list, prepareStatement, returned, set, toStatement } from "../statements.js";
import {
  at,
  columns,
  draftToSession,
  expectSessionId,
  expectSummary,
  insertSession,
  type Session,
  type SessionInput,
  type StartSessionOptions,
  sessionColumns,
  toDraft,
  toSession,
} from "./record.js";

/** Which sessions, and how many. */
export interface ListSessionsOptions {
  /** Bounds on `startedAt`, inclusive. */
  readonly since?: Date | number | undefined;
  /** The latest `startedAt`. */
  readonly until?: Date | number | undefined;
  /** The most sessions of a page. @default 50 */
  readonly limit?: number | undefined;
  /** The `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
}

const s = sessions;
const isId = sql`${s.project} = ${sql.placeholder("project")} and ${s.id} = ${sql.placeholder("id")}`;
const newestFirst = sql`${s.startedAt} desc, ${s.rowId} desc`;

const selectOne = prepareStatement(() => sql`select ${columns} from ${s} where ${isId}`);
const selectMany = prepareStatement(
  () => sql`select ${columns} from ${s} where ${s.project} = ${sql.placeholder("project")}
  and ${s.id} in (select value from json_each(${sql.placeholder("ids")}))`,
);
const endRow = prepareStatement(
  () =>
    sql`update ${s} set ${list([
      // The clock of another machine, or one set back, must not end it before it started.
      set(s.endedAt, sql`max(${s.startedAt}, ${sql.placeholder("endedAt")})`),
      set(s.summary, sql`coalesce(${sql.placeholder("summary")}, ${s.summary})`),
    ])} where ${isId} returning ${returned(sessionColumns)}`,
);

/** The sessions of one project. */
export class SessionRepository<M extends object = Metadata> {
  readonly #context: RepositoryContext;

  /** @internal */
  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  /**
   * The same repository, whose sessions have metadata of the type `Shape`. If it has required keys, a new session needs
   * `metadata`. Only the compiler knows the type: nothing checks stored metadata, and a session that was started without
   * metadata has `{}`.
   */
  withMetadata<Shape extends object>(): SessionRepository<Shape> {
    return this as unknown as SessionRepository<Shape>;
  }

  /**
   * Starts a session, under a new id unless one is given. Rejects with `CONFLICT` if the id exists. `options` are required
   * if the type of the metadata has required keys.
   */
  start(
    ...args: IfOptional<
      M,
      [id?: string, options?: StartSessionOptions<M>],
      [id: string | undefined, options: StartSessionOptions<M>]
    >
  ): Promise<Session<M>>;
  async start(id: string = newId(), options: StartSessionOptions<object> = {}): Promise<Session<M>> {
    expectKeys("start", options, ["metadata", "startedAt"]);
    const draft = toDraft(this.#context, { ...options, id });
    await this.#context.executor.execute(insertSession(draft));
    this.#announce("insert", [draft.id]);
    return draftToSession<M>(draft);
  }

  /** Starts all of them, or none. */
  async insertMany(inputs: readonly SessionInput<M>[]): Promise<Session<M>[]> {
    expectArray("inputs", inputs, "sessions");
    const drafts = checkEach(inputs, (input) => toDraft(this.#context, input));
    if (drafts.length === 0) this.#context.executor.assertOutside?.();
    try {
      await this.#context.executor.batch(drafts.map((draft) => insertSession(draft)));
    } catch (error) {
      const index = batchErrorIn(error)?.statementIndex;
      if (index === undefined || !isOfRecord(error)) throw error;
      throw atRecord(error, { index, id: drafts[index]?.id });
    }
    this.#announce(
      "insert",
      drafts.map(({ id }) => id),
    );
    return drafts.map(draftToSession<M>);
  }

  /** Ends a session, now but never before it started, with a summary where one is given. Undefined when unknown. */
  async end(id: string, summary?: string): Promise<Session<M> | undefined> {
    expectSessionId(id);
    const { project, executor, now, repair } = this.#context;
    const text = repair(summary);
    if (text !== undefined) expectSummary(text);
    const { rows } = await executor.execute(endRow({ project, id, endedAt: now(), summary: text ?? null }));
    if (rows[0] === undefined) return undefined;
    this.#announce("update", [id]);
    return toSession<M>(rows[0]);
  }

  /** The session with this id; undefined if there is none. */
  async get(id: string): Promise<Session<M> | undefined> {
    expectSessionId(id);
    const { project, executor } = this.#context;
    const { rows } = await executor.execute(selectOne({ project, id }));
    return rows[0] === undefined ? undefined : toSession<M>(rows[0]);
  }

  /** The sessions that exist among `ids`, in the order of `ids`. */
  getMany(ids: readonly string[]): Promise<Session<M>[]> {
    return readMany(this.#context, ids, selectMany, toSession<M>, expectSessionId);
  }

  /** The session with this id. Rejects with `NOT_FOUND` if `get` would find nothing. */
  async require(id: string): Promise<Session<M>> {
    return (await this.get(id)) ?? Promise.reject(notFound(this.#context, "session", id));
  }

  /** The 50, or `limit`, sessions started last by their `startedAt`, newest first; of equal times the one stored last comes first. */
  async latest(limit = 50): Promise<Session<M>[]> {
    return (await this.list({ limit })).items;
  }

  /**
   * The session that `latest` lists first of those that have not ended. The order is that of the clock: after it was set
   * back, a session that was started before with a later `startedAt` stays the newest until it ends.
   */
  async active(): Promise<Session<M> | undefined> {
    const { project, executor } = this.#context;
    const { rows } = await executor.execute(
      toStatement(sql`select ${columns} from ${s} where ${s.project} = ${project} and ${s.endedAt} is null
        order by ${newestFirst} limit 1`),
    );
    return rows[0] === undefined ? undefined : toSession<M>(rows[0]);
  }

  /** A page of sessions, newest first. */
  async list(options: ListSessionsOptions = {}): Promise<Page<Session<M>>> {
    expectKeys("list", options, ["since", "until", "limit", "cursor"]);
    const { since, until, limit = 50, cursor } = options;
    expectLimit(limit);
    const { project, executor } = this.#context;
    const conditions = [sql`${s.project} = ${project}`];
    if (since !== undefined) conditions.push(sql`${s.startedAt} >= ${toMillis("since", since)}`);
    if (until !== undefined) conditions.push(sql`${s.startedAt} <= ${toMillis("until", until)}`);
    if (cursor !== undefined) {
      const { key, rowId } = decodeCursor("sessions", cursor);
      conditions.push(sql`(${s.startedAt}, ${s.rowId}) < (${key}, ${rowId})`);
    }
    const { rows } = await executor.execute(
      toStatement(
        sql`select ${columns} from ${s} where ${all(conditions)} order by ${newestFirst} limit ${toSqlLimit(limit + 1)}`,
      ),
    );
    const cursorOf = (row: Row) =>
      encodeCursor("sessions", { key: Number(row[at.startedAt]), rowId: Number(row[at.rowId]) });
    return toPage(rows, limit, toSession<M>, cursorOf);
  }

  #announce(action: ChangeAction, ids: readonly string[]): void {
    announce(this.#context, "sessions", action, ids);
  }
}
