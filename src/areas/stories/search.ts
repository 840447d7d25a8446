import type { Row } from "@libsql/client";
import { sql } from "drizzle-orm";
import { alias } from "drizzle-orm/sqlite-core";
import { stories, storyContents, storySearch } from "../../schema/stories.js";
import { keywordSearch } from "../../search/keyword-search.js";
import { planQuery, type QueryPlan } from "../../search/query.js";
import type { KeywordMatch, KeywordSearchRequest, SearchTarget } from "../../search/request.js";
import { countNeedles, foldNeedles } from "../../search/scan-packed.js";
import { resolveSnippetOptions, type SnippetOptions, snippet } from "../../search/snippet.js";
import { searchScope, toSearchTextInSlices } from "../../search/terms.js";
import { expectation } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectLimit } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import type { Executor } from "../executor.js";
import { halvedUntilItFits, readAll } from "../read-all.js";
import { isWriteRefused, searchReader, toSelect, toWhere } from "../search-reader.js";
import { insertOf, pick, prepareStatement, selection, toStatement } from "../statements.js";
import { hasAnyTag, METADATA, toMetadata } from "./libsql/statements.js";
import { type StoryData, type StoryMetadata, toTags } from "./story.js";

/** Which stories a search finds, and what it returns of them. */
export interface SearchStoriesOptions {
  /** Stories with any of these; an empty list filters nothing. */
  readonly tags?: readonly string[] | undefined;
  /** The most results. @default 10 */
  readonly limit?: number | undefined;
  /** The length and the marks of `snippet`. */
  readonly snippet?: SnippetOptions | undefined;
}

/** One story that a search found. */
export interface StorySearchResult {
  readonly metadata: StoryMetadata;
  /** Higher is better; comparable within one result only. */
  readonly score: number;
  /** Which strategy found it: words (`keyword`), beginnings of words, or any part of the text. */
  readonly match: KeywordMatch;
  /** At most 300 characters of its texts, with each match between `<mark>` and `</mark>`. */
  readonly snippet: string;
}

/** The searched part of a story: the terms of a longer text would block the event loop for more than about 50 ms. */
const MAX_SEARCHED_CHARS = 200_000;
/** Stories indexed in one transaction. */
const BATCH = 25;

const s = stories;
const c = storyContents;
const x = storySearch;
const m = alias(storySearch, "m");
export const STORY_TARGET: SearchTarget = {
  table: "story_search",
  rowId: x.rowId.name,
  content: x.content.name,
  searchText: x.searchText.name,
  fts: "story_search_fts",
  recentOrder: "m.updated_at DESC, m.row_id DESC",
};

const { columns, at } = selection({ ...pick(s, "rowId", "revision", "title", "tags", "updatedAt"), data: c.data });
const selectUnindexed = prepareStatement(
  () => sql`select ${columns} from ${s}
    join ${c} on ${c.rowId} = ${s.contentRowId}
    where ${s.project} = ${sql.placeholder("project")} and ${s.deletedAt} is null and ${s.indexedRevision} < ${s.revision}
    and ${s.rowId} > ${sql.placeholder("after")} order by ${s.rowId} limit ${sql.placeholder("limit")}`,
);
const INDEXED = pick(x, "rowId", "project", "content", "searchText", "updatedAt");
const upsertText = insertOf(x, INDEXED, { unique: ["rowId"] });
/** Starts with the columns that `toMetadata` reads. */
const found = selection({ ...METADATA, rowId: s.rowId, content: x.content });
const noteIndexed = prepareStatement(
  () => sql`update ${s} set indexed_revision = ${sql.placeholder("revision")}
    where ${s.project} = ${sql.placeholder("project")} and ${s.rowId} = ${sql.placeholder("rowId")}`,
);

/** The stories whose texts answer `text` best. Stories that changed since the last search are indexed first, if possible. */
export async function searchStories(
  context: RepositoryContext,
  text: string,
  options: SearchStoriesOptions = {},
): Promise<StorySearchResult[]> {
  if (typeof text !== "string") throw new TypeError(expectation("text", "a string", text));
  expectKeys("searchStories", options, ["tags", "limit", "snippet"]);
  const { tags = [], limit = 10 } = options;
  const wanted = toTags(tags);
  expectLimit(limit);
  const shape = resolveSnippetOptions(options.snippet);
  const plan = planQuery(text);
  const { project, executor } = context;
  const changed: ChangedTexts = (await indexChanged(context)) ? new Map() : await readChanged(context, plan);
  const conditions = [sql`${m.project} = ${project}`];
  if (wanted.length > 0) conditions.push(hasAnyTag(m.rowId, project, wanted));
  const hits = await keywordSearch(searchReader(executor), {
    target: STORY_TARGET,
    plan,
    scope: searchScope(project),
    where: toWhere(conditions),
    rows: changed.size === 0 ? undefined : rowsWith(project, changed),
    limit: Math.min(limit, Number.MAX_SAFE_INTEGER),
  });
  if (hits.length === 0) return [];
  // The plus signs keep SQLite from scanning the index of the whole project for these few rows.
  const rows = await readAll(
    executor,
    toStatement(sql`select ${found.columns} from ${s} left join ${x} on ${x.rowId} = ${s.rowId}
      where +${s.project} = ${project} and +${s.deletedAt} is null
      and ${s.rowId} in (select value from json_each(${JSON.stringify(hits.map(({ rowId }) => rowId))}))`),
  );
  const stories = new Map(rows.map((row) => [Number(row[found.at.rowId]), row]));
  return hits.flatMap(({ rowId, score, match }) => {
    const row = stories.get(rowId);
    const text = changed.get(rowId)?.content ?? row?.[found.at.content];
    if (row === undefined || typeof text !== "string") return [];
    return { metadata: toMetadata(row), score, match, snippet: snippet(text, plan, shape) };
  });
}

/** Resolves to false if the index lacks stories. */
async function indexChanged(context: RepositoryContext): Promise<boolean> {
  const { project, executor } = context;
  if (executor.refusesWrites === true) return false;
  const scope = searchScope(project);
  try {
    // This check takes no write lock: most searches find nothing to index.
    while ((await executor.execute(selectUnindexed({ project, after: 0, limit: 1 }))).rows.length > 0) {
      const count = await executor.atomically(async (inner) => {
        const rows = await readUnindexed(inner, project, 0);
        for (const row of rows) {
          const rowId = Number(row[at.rowId]);
          const text = await indexedText(row, scope);
          await inner.execute(upsertText({ rowId, project, ...text }));
          await inner.execute(noteIndexed({ project, rowId, revision: Number(row[at.revision]) }));
        }
        return rows.length;
      });
      // A read replica may still show stories that are indexed by now.
      if (count === 0) return false;
    }
    return true;
  } catch (error) {
    if (!isWriteRefused(error)) throw error;
    return false;
  }
}

async function readUnindexed(executor: Executor, project: string, after: number): Promise<readonly Row[]> {
  const read = (limit: number) => executor.execute(selectUnindexed({ project, after, limit }));
  return (await halvedUntilItFits(BATCH, read)).rows;
}

interface IndexedText {
  readonly content: string;
  readonly searchText: string;
  readonly updatedAt: number;
}

/** The texts of stories that are not indexed, by row; undefined for those that cannot match. */
type ChangedTexts = ReadonlyMap<number, IndexedText | undefined>;

async function indexedText(row: Row, scope: string): Promise<IndexedText> {
  const content = searchedText(row[at.title] as string, row[at.tags] as string, row[at.data] as string);
  return { content, searchText: await toSearchTextInSlices(content, scope), updatedAt: Number(row[at.updatedAt]) };
}

/** Reads the stories that are not indexed. Memory holds only the texts that may match. */
async function readChanged(
  { project, executor }: RepositoryContext,
  { isRecent, terms, needles }: QueryPlan,
): Promise<ChangedTexts> {
  const changed = new Map<number, IndexedText | undefined>();
  const scope = searchScope(project);
  // A term that starts a word is found as that word or as its beginning.
  const starts = terms.map((term) => ` ${scope}${term.text}`);
  const folded = foldNeedles(needles);
  for (let after = 0; ; ) {
    const rows = await readUnindexed(executor, project, after);
    if (rows.length === 0) return changed;
    for (const row of rows) {
      after = Number(row[at.rowId]);
      const text = await indexedText(row, scope);
      const mayMatch =
        isRecent ||
        starts.some((start) => ` ${text.searchText}`.includes(start)) ||
        countNeedles(text.content, folded) > 0;
      changed.set(after, mayMatch ? text : undefined);
    }
  }
}

/** What the index would have as its rows if the changed stories were indexed. */
function rowsWith(project: string, changed: ChangedTexts): KeywordSearchRequest["rows"] {
  const texts = [...changed].flatMap(([rowId, text]) =>
    text === undefined ? [] : [[rowId, text.content, text.searchText, text.updatedAt]],
  );
  return toSelect(sql`select ${sql.join([x.rowId, x.project, x.content, x.searchText, x.updatedAt], sql`, `)} from ${x}
    where ${x.project} = ${project} and ${x.rowId} not in (select value from json_each(${JSON.stringify([...changed.keys()])}))
    union all select value ->> 0, ${project}, value ->> 1, value ->> 2, value ->> 3 from json_each(${JSON.stringify(texts)})`);
}

/** Title, tags, and every text of a story in its order, ids and other keys aside. */
function searchedText(title: string, tags: string, json: string): string {
  const parts: string[] = [title, ...(JSON.parse(tags) as string[])];
  let left = MAX_SEARCHED_CHARS;
  // Without recursion, because a story may be nested deeper than calls can be.
  const open: unknown[] = [JSON.parse(json) as StoryData];
  while (open.length > 0 && left > 0) {
    const value = open.pop();
    if (typeof value === "string") {
      parts.push(value.slice(0, left));
      left -= value.length + 1;
    } else if (typeof value === "object" && value !== null) {
      for (const inner of Object.values(value).reverse()) open.push(inner);
    }
  }
  return [...new Set(parts)].join("\n").replaceAll("\0", " ").toWellFormed();
}
