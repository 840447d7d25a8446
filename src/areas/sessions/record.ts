import type { Row } from "@libsql/client";
import { sessions } from "../../schema/sessions.js";
import { expectText } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { MAX_NAME_CHARS, toJsonText, toMillis } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import { newId } from "../ids.js";
import { parseObject } from "../json.js";
import type { Metadata, RequiredMetadata } from "../metadata.js";
import { insertOf, pick, selection } from "../statements.js";

/** A span of work in a project. */
export interface Session<M extends object = Metadata> {
  readonly id: string;
  readonly project: string;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  readonly summary: string | null;
  readonly metadata: M;
}

interface StartSessionFields<M extends object> {
  /** A JSON object of your own; required if its type has required keys. @default {} */
  readonly metadata?: M | undefined;
  /** A Date or integer milliseconds. @default now */
  readonly startedAt?: Date | number | undefined;
}

interface SessionFields<M extends object> extends StartSessionFields<M> {
  /** The id, unique in the project. @default a new UUIDv7 */
  readonly id?: string | undefined;
}

/** The options of `start`. */
export type StartSessionOptions<M extends object = Metadata> = StartSessionFields<M> & RequiredMetadata<M>;

/** The input for a session of `insertMany`. */
export type SessionInput<M extends object = Metadata> = SessionFields<M> & RequiredMetadata<M>;

/** The row of a session that is about to be stored. */
export interface SessionDraft {
  readonly project: string;
  readonly id: string;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly summary: string | null;
  readonly metadata: string;
}

const s = sessions;
const stored = pick(s, "project", "id", "startedAt", "endedAt", "summary", "metadata");

export const insertSession = insertOf(s, stored);

/** The columns of a query whose rows `toSession` reads. */
export const sessionColumns = { rowId: s.rowId, ...stored };
export const { columns, at } = selection(sessionColumns);

/** Checks an input and fills in the defaults; throws TypeError or RangeError. */
export function toDraft({ project, now, repair }: RepositoryContext, input: SessionInput<object>): SessionDraft {
  expectKeys("a session", input, ["id", "metadata", "startedAt"]);
  const { id = newId(), metadata = {}, startedAt } = input;
  expectSessionId(id);
  return {
    project,
    id,
    startedAt: startedAt === undefined ? now() : toMillis("startedAt", startedAt),
    endedAt: null,
    summary: null,
    metadata: toJsonText("metadata", repair(metadata), repair),
  };
}

export function expectSessionId(id: unknown): asserts id is string {
  expectText("id", id, MAX_NAME_CHARS);
}

export function expectSummary(summary: unknown): asserts summary is string {
  expectText("summary", summary, 100_000, 0);
}

/** The record of a row of `columns`. */
export function toSession<M extends object = Metadata>(row: Row): Session<M> {
  const endedAt = row[at.endedAt];
  return {
    id: row[at.id] as string,
    project: row[at.project] as string,
    startedAt: new Date(Number(row[at.startedAt])),
    endedAt: endedAt === null ? null : new Date(Number(endedAt)),
    summary: row[at.summary] as string | null,
    metadata: parseObject(row[at.metadata], "sessions", row[at.id]) as M,
  };
}

/** The record of a draft that has just been stored. */
export function draftToSession<M extends object = Metadata>(draft: SessionDraft): Session<M> {
  const { id, project, startedAt, metadata } = draft;
  return {
    id,
    project,
    startedAt: new Date(startedAt),
    endedAt: null,
    summary: null,
    metadata: JSON.parse(metadata) as M,
  };
}
