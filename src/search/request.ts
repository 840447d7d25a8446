import type { QueryPlan } from "./query.js";

export type SqlValue = string | number;

/** All that a search needs of a database. */
export interface SearchReader {
  /** Runs one SELECT with positional arguments and resolves to its rows, whose values are read by position. */
  all(sql: string, args: SqlValue[]): Promise<readonly ArrayLike<unknown>[]>;
  /** The same for a SELECT that reads every row, so that it need not keep the event loop. */
  scan(sql: string, args: SqlValue[]): Promise<readonly ArrayLike<unknown>[]>;
}

/** The table to search and its full-text index; names and order go into SQL as they are. */
export interface SearchTarget {
  readonly table: string;
  /** The integer primary key, which is also the rowid of the full-text table. */
  readonly rowId: string;
  /** The column of the original text. */
  readonly content: string;
  /** Where a content may be stored packed, as a BLOB: makes text of it. */
  readonly unpack?: (content: unknown) => string;
  /** The column that a row's terms (`toSearchText`) are given in, and that of the full-text table that has them. */
  readonly searchText: string;
  /** A condition on the alias `m`: rows that are not indexed, such as deleted ones. @default none */
  readonly hasNoTerms?: string;
  /** The FTS5 table of the terms, as `FTS_TOKENIZER` says. */
  readonly fts: string;
  /** Columns of the table that the full-text table has too, for `within`. @default none */
  readonly indexed?: readonly string[];
  /**
   * Where rows follow one another, as the turns of a conversation do: the column of what they belong to, and that of
   * their place in it. Neighbours then help the ranking.
   */
  readonly sequence?: { readonly group: string; readonly position: string };
  /**
   * Where rows may be of a session: its column, the column of the time that orders the rows of a session, next to the row
   * id, and the condition on `n`, any other row of the session, to be in the same project as `m` and not deleted.
   * Neighbors then help the ranking.
   */
  readonly session?: { readonly group: string; readonly time: string; readonly isOther: string };
  /** The column of a JSON object whose `name` is who said the text; else a leading `Name:` of the content says it. */
  readonly metadata?: string;
  /** ORDER BY terms on the alias `m`, for a text that asks for nothing. */
  readonly recentOrder: string;
}

/** The rows that the index lacks. */
export interface Backlog {
  /** A scalar: how many rows wait to be indexed that a search can read; -1 if they must be indexed first. */
  readonly count: string;
  /** The condition on the alias `m` to be one of those rows. */
  readonly isWaiting: string;
  /** Resolves to false if the rows cannot be indexed: then every row is read instead. */
  index(): Promise<boolean>;
  /** Has `count` such rows indexed after the search, where that is possible. */
  indexLater(count: number): void;
}

export interface KeywordSearchRequest {
  readonly target: SearchTarget;
  /** The plan that `planQuery` made of the text that the user typed. */
  readonly plan: QueryPlan;
  /** `searchScope` of the project. */
  readonly scope: string;
  /** The conditions on a row, on the alias `m` and with plain `?` arguments: its project, not deleted, the caller's filters. */
  readonly where: { readonly sql: string; readonly args: readonly SqlValue[] };
  /** The same for rows that the filter leaves out, but that lend their words to their neighbors. */
  readonly lenders?: { readonly sql: string; readonly args: readonly SqlValue[] };
  /** An FTS5 expression that every match must satisfy too, so that the index itself leaves out the others. */
  readonly within?: string;
  /**
   * Groups that count as one sequence, in order, each with its last position that counts. A fork continues its parent
   * in this way.
   */
  readonly line?: readonly { readonly group: number; readonly upTo: number }[];
  /** Whether the index lacks rows: then every row is read instead. @default false */
  readonly isUnindexed?: boolean;
  /** Where the database may list rows that the index lacks. */
  readonly backlog?: Backlog | undefined;
  /**
   * A SELECT whose rows are searched instead of the table, with the columns that the target and `where` name. Use it while
   * the table lacks rows: the full-text table is then not read.
   */
  readonly rows?: { readonly sql: string; readonly args: readonly SqlValue[] } | undefined;
  readonly limit: number;
}

/** `context`: found by the words of the neighbors. */
export type KeywordMatch = "keyword" | "context" | "prefix" | "substring" | "recent";

export interface KeywordHit {
  readonly rowId: number;
  /** Between 0 and 1, higher is better; comparable within one result only. */
  readonly score: number;
  /** How the row was found. */
  readonly match: KeywordMatch;
}
