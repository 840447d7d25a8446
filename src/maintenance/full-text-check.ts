import type { Row } from "@libsql/client";
import { type SQL, sql } from "drizzle-orm";
import type { Reader } from "../areas/area.js";
import { scalar } from "../areas/executor.js";
import { SEARCH_TARGETS } from "../areas/registry.js";
import { pagesByRowId } from "../areas/rows.js";
import { isWaiting, OPEN_END } from "../areas/search-backlog.js";
import { toStatement } from "../areas/statements.js";
import { tablesIn } from "../areas/tables.js";
import { quoteText } from "../client/sql/quote.js";
import { toStorageError } from "../client/storage-error.js";
import { isFullText } from "../migrate/full-text.js";
import type { SearchTarget } from "../search/request.js";
import { textOf } from "../search/scan-packed.js";
import { FTS_TOKENIZER, searchScope, toSearchText } from "../search/terms.js";
import { StorageError } from "../shared/errors.js";

/** A full-text table that indexes the text of another table. */
export interface ContentIndex {
  readonly name: string;
  readonly content: string;
  readonly rowIdColumn: string;
  readonly columns: readonly string[];
  /** Set if the index keeps no content, so that it cannot rebuild itself: its terms follow from those texts. */
  readonly target?: SearchTarget;
}

const TERMS_PER_PAGE = 5000;

/** The full-text tables of the schema with the tokenizer that Holdfast uses. */
export async function findContentIndexes(reader: Reader): Promise<ContentIndex[]> {
  const { rows } = await reader.execute(toStatement(sql`select name, sql from sqlite_schema where type = 'table'`));
  const tables = new Set(rows.map((row) => String(row.name)));
  const indexes: ContentIndex[] = [];
  for (const row of rows) {
    const [name, text] = [String(row.name), String(row.sql)];
    if (!isFullText(text) || optionOf(text, "tokenize") !== FTS_TOKENIZER) continue;
    const content = optionOf(text, "content");
    const target = content === "" ? SEARCH_TARGETS.find(({ fts }) => fts === name) : undefined;
    if (target !== undefined && tables.has(target.table)) {
      indexes.push({ name, content: target.table, rowIdColumn: target.rowId, columns: columnsOf(text), target });
    }
    if (content === undefined || !tables.has(content)) continue;
    const rowIdColumn = optionOf(text, "content_rowid") ?? "rowid";
    indexes.push({ name, content, rowIdColumn, columns: columnsOf(text) });
  }
  return indexes;
}

/**
 * How a full-text index differs from its table; undefined if they match.
 *
 * FTS5 has such a check too (`integrity-check` with rank 1), but only in a write transaction, which would keep writers
 * waiting on a large file. So this counts the terms on both sides, in the snapshot of `reader`.
 */
export async function compareWithContent(reader: Reader, index: ContentIndex): Promise<string | undefined> {
  const marked = index.target && (await markedRows(reader, index.target));
  // The next search or a reindex indexes those rows.
  if (marked === "many") return undefined;
  const documents = sql.identifier(`${index.name}_docsize`);
  const content = sql.identifier(index.content);
  const rowId = sql.identifier(index.rowIdColumn);
  const count = async (query: ReturnType<typeof sql>) => Number(scalar(await reader.execute(toStatement(query))));
  const unindexed = await count(
    sql`select count(*) from ${content} as m where not exists (select 1 from ${documents} as d where d.id = m.${rowId})
      and not ${waits(index)}`,
  );
  if (unindexed > 0) return `${unindexed} rows of ${index.content} are not in it`;
  const gone = await count(
    sql`select count(*) from ${documents} as d where not exists (select 1 from ${content} as c where c.${rowId} = d.id)`,
  );
  if (gone > 0) return `it holds ${gone} rows that ${index.content} has not`;
  const indexed = await sumOfIndex(reader, index).catch((error: unknown) => {
    const failure = toStorageError(error);
    if (failure instanceof StorageError && failure.code === "CORRUPT") return undefined;
    throw error;
  });
  if (indexed === undefined) return "it cannot be read";
  return indexed.equals(await sumOfContent(reader, index, marked))
    ? undefined
    : `its words are not those of ${index.content}`;
}

async function sumOfIndex(reader: Reader, { name, columns }: ContentIndex): Promise<TermSum> {
  const vocabulary = sql.identifier(`holdfast_check_${name}`);
  await reader.execute(toStatement(sql`drop table if exists temp.${vocabulary}`));
  await reader.execute(
    toStatement(
      sql`create virtual table temp.${vocabulary} using fts5vocab('main', ${sql.raw(quoteText(name))}, 'col')`,
    ),
  );
  const sum = new TermSum();
  for (let after = ""; ; ) {
    const { rows } = await reader.execute(
      toStatement(sql`select term, col, doc, cnt from temp.${vocabulary} where term > ${after}
        order by term limit ${TERMS_PER_PAGE}`),
    );
    // The columns of the last term may continue on the next page, if there are several columns and a next page.
    const isLast = rows.length < TERMS_PER_PAGE;
    const end = rows.at(-1)?.term;
    for (const row of rows) {
      if (!isLast && columns.length > 1 && row.term === end) continue;
      sum.add(columns.indexOf(String(row.col)), String(row.term), Number(row.doc), Number(row.cnt));
      after = String(row.term);
    }
    if (isLast) return sum;
  }
}

/** The condition on the alias `m` to be a row that is indexed later. */
function waits({ target }: ContentIndex): SQL {
  return target === undefined ? sql`false` : sql.raw(`(${isWaiting(target)})`);
}

/**
 * The rows that the index has without terms, and that the next search indexes. `many` if a file of an earlier version is not
 * indexed yet, or if nothing says which they are.
 */
async function markedRows(reader: Reader, target: SearchTarget): Promise<ReadonlySet<number> | "many"> {
  if (!(await tablesIn(reader)).has("search_backlog")) return "many";
  const { rows } = await reader.execute(
    toStatement(sql`select first, last from search_backlog where target = ${target.table} and last < ${OPEN_END}`),
  );
  if (rows.some(({ first, last }) => first !== last)) return "many";
  return new Set(rows.map(({ first }) => Number(first)));
}

async function sumOfContent(reader: Reader, index: ContentIndex, marked?: ReadonlySet<number>): Promise<TermSum> {
  const { content, rowIdColumn, columns, target } = index;
  const rowId = sql`m.${sql.identifier(rowIdColumn)}`;
  const names = [rowIdColumn, ...columns, ...(target === undefined ? [] : ["project", target.content])];
  const hasNone = sql.raw(target?.hasNoTerms ?? "0");
  const selected = sql`${sql.join(
    names.map((name) => sql`m.${sql.identifier(name)}`),
    sql`, `,
  )}, ${hasNone} as has_none`;
  const all = sql`select ${selected} from ${sql.identifier(content)} as m`;
  /** '' stands for terms that are in the index alone. */
  const textOfColumn = (row: Row, column: string): string => {
    if (target === undefined || column !== target.searchText) return String(row[column] ?? "");
    const isIndexed = row[column] !== null && Number(row.has_none) === 0 && !marked?.has(Number(row[rowIdColumn]));
    return isIndexed ? toSearchText(textOf(row[target.content], target), searchScope(String(row.project))) : "";
  };
  const sum = new TermSum();
  for await (const rows of pagesByRowId(reader, all, rowId, sql` and not ${waits(index)}`)) {
    for (const row of rows) {
      for (const [place, column] of columns.entries()) {
        for (const [term, count] of countTokens(textOfColumn(row, column))) sum.add(place, term, 1, count);
      }
    }
  }
  return sum;
}

/** Splits as the tokenizer `ascii` does: at ASCII other than letters and digits. Only ASCII letters are folded. */
function countTokens(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [token] of text.matchAll(/[0-9A-Za-z\u0080-\u{10ffff}]+/gu)) {
    const term = token.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
    counts.set(term, (counts.get(term) ?? 0) + 1);
  }
  return counts;
}

/**
 * Sums up how often each term occurs, and in how many rows, in any order and constant memory: two 32-bit sums of hash
 * times number. They are equal for equal terms, and differ for others except in one case in 2^64.
 */
class TermSum {
  #occurrences = 0;
  #documents = 0;

  add(column: number, term: string, documents: number, occurrences: number): void {
    this.#occurrences = (this.#occurrences + Math.imul(hash(term, 0x811c9dc5 + column), occurrences)) | 0;
    this.#documents = (this.#documents + Math.imul(hash(term, 0x01234567 + column), documents)) | 0;
  }

  equals(other: TermSum): boolean {
    return this.#occurrences === other.#occurrences && this.#documents === other.#documents;
  }
}

/** FNV-1a over UTF-16 units, with its bits mixed at the end. */
function hash(text: string, seed: number): number {
  let value = seed;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x45d9f3b);
  return value ^ (value >>> 15);
}

/** The value of an option of `CREATE VIRTUAL TABLE … USING fts5(…)`, without its quotes. */
function optionOf(text: string, name: string): string | undefined {
  const pattern = new RegExp(`[(,]\\s*${name}\\s*=\\s*(?:'([^']*)'|"([^"]*)"|\`([^\`]*)\`|(\\w+))`, "i");
  const found = pattern.exec(text);
  return found === null ? undefined : (found[1] ?? found[2] ?? found[3] ?? found[4]);
}

/** The columns of `CREATE VIRTUAL TABLE … USING fts5(…)`, from its text: asking SQLite would open an index that may be damaged. */
function columnsOf(text: string): string[] {
  const inner = text.slice(text.indexOf("(") + 1, text.lastIndexOf(")"));
  const parts = inner.match(/(?:'[^']*'|"[^"]*"|`[^`]*`|[^,])+/g) ?? [];
  const names = parts.filter((part) => !/^\s*\w+\s*=/.test(part)).map((part) => part.trim());
  return names.map((name) => /^["'`[]?([^"'`\]\s]+)/.exec(name)?.[1] ?? name);
}
