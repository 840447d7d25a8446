import { sql } from "drizzle-orm";
import { alias } from "drizzle-orm/sqlite-core";
import { stories, storyContents, storySearch } from "../../schema/stories.js";
import { keywordSearch } from "../../search/keyword-search.js";
import { planQuery } from "../../search/query.js";
import type { KeywordMatch, SearchTarget } from "../../search/request.js";
import { resolveSnippetOptions, type SnippetOptions, snippet } from "../../search/snippet.js";
import { searchScope, toSearchTextInSlices } from "../../search/terms.js";
import { StorageError } from "../../shared/errors.js";
import { expectation } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectLimit } from "../arguments.js";
import type { RepositoryContext } from "../context.js";
import { halvedUntilItFits, readAll } from "../read-all.js";
import { searchReader, toWhere } from "../search-reader.js";
import { insertOf, pick, prepareStatement, selection, toStatement } from "../statements.js";
import { hasAnyTag, METADATA, toMetadata } from "./libsql/statements.js";
import { type StoryData, type StoryMetadata, toTags } from "./story.js";

export interface SearchStoriesOptions {
  /** Stories with any of these; an empty list filters nothing. */
  readonly tags?: readonly string[] | undefined;
  /** @default 10 */
  readonly limit?: number | undefined;
  readonly snippet?: SnippetOptions | undefined;
}

export interface StorySearchResult {
  readonly metadata: StoryMetadata;
  /** Higher is better; comparable within one result only. */
  readonly score: number;
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
  sql`select ${columns} from ${s}
    join ${c} on ${c.rowId} = ${s.contentRowId}
    where ${s.project} = ${sql.placeholder("project")} and ${s.deletedAt} is null and ${s.indexedRevision} < ${s.revision}
    limit ${sql.placeholder("limit")}`,
);
const INDEXED = pick(x, "rowId", "project", "content", "searchText", "updatedAt");
const upsertText = insertOf(x, INDEXED, { unique: ["rowId"] });
/** Starts with the columns that `toMetadata` reads. */
const found = selection({ ...METADATA, rowId: s.rowId, content: x.content });
const noteIndexed = prepareStatement(
  sql`update ${s} set indexed_revision = ${sql.placeholder("revision")}
    where ${s.project} = ${sql.placeholder("project")} and ${s.rowId} = ${sql.placeholder("rowId")}`,
);

/** The stories whose texts answer `text` best. Stories that changed since the last search are indexed first. */
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
  await indexChanged(context);
  const conditions = [sql`${m.project} = ${project}`];
  if (wanted.length > 0) conditions.push(hasAnyTag(m.rowId, project, wanted));
  const hits = await keywordSearch(searchReader(executor), {
    target: STORY_TARGET,
    plan,
    scope: searchScope(project),
    where: toWhere(conditions),
    limit: Math.min(limit, Number.MAX_SAFE_INTEGER),
  });
  if (hits.length === 0) return [];
  // The plus signs keep SQLite from scanning the index of the whole project for these few rows.
  const rows = await readAll(
    executor,
    toStatement(sql`select ${found.columns} from ${s} join ${x} on ${x.rowId} = ${s.rowId}
      where +${s.project} = ${project} and +${s.deletedAt} is null
      and ${s.rowId} in (select value from json_each(${JSON.stringify(hits.map(({ rowId }) => rowId))}))`),
  );
  const stories = new Map(rows.map((row) => [Number(row[found.at.rowId]), row]));
  return hits.flatMap(({ rowId, score, match }) => {
    const row = stories.get(rowId);
    if (row === undefined) return [];
    const text = row[found.at.content] as string;
    return { metadata: toMetadata(row), score, match, snippet: snippet(text, plan, shape) };
  });
}

async function indexChanged(context: RepositoryContext): Promise<void> {
  const { project, executor } = context;
  const scope = searchScope(project);
  try {
    // This check takes no write lock: most searches find nothing to index.
    while ((await executor.execute(selectUnindexed({ project, limit: 1 }))).rows.length > 0) {
      const count = await executor.atomically(async (inner) => {
        const { rows } = await halvedUntilItFits(BATCH, (limit) => inner.execute(selectUnindexed({ project, limit })));
        for (const row of rows) {
          const content = searchedText(row[at.title] as string, row[at.tags] as string, row[at.data] as string);
          const rowId = Number(row[at.rowId]);
          const searchText = await toSearchTextInSlices(content, scope);
          const updatedAt = Number(row[at.updatedAt]);
          await inner.execute(upsertText({ rowId, project, content, searchText, updatedAt }));
          await inner.execute(noteIndexed({ project, rowId, revision: Number(row[at.revision]) }));
        }
        return rows.length;
      });
      // A read replica may still show stories that are indexed by now.
      if (count === 0) return;
    }
  } catch (error) {
    // A read-only database can still be searched with the index as it is.
    if (!(error instanceof StorageError) || error.code !== "READONLY") throw error;
  }
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
