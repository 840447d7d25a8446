/** Rows that would make a migration fail. */
export interface DryRunProblem {
  readonly statement: string;
  /**
   * UNIQUE, NOT NULL, CHECK or FOREIGN KEY; NOT NULL, DEFAULT or STORED of a new column that SQLite adds to empty tables
   * only.
   */
  readonly constraint: string;
  readonly table: string;
  /** How many rows break it; 1 if they cannot be counted. */
  readonly rows: number;
  /** A few of them. */
  readonly sample: readonly Readonly<Record<string, unknown>>[];
}

/** What `migrate` or `revert` would run. */
export interface DryRunResult {
  readonly migrations: readonly {
    readonly tag: string;
    /** Its statements, with those that are added to keep what a rebuild loses. */
    readonly sql: readonly string[];
    readonly problems: readonly DryRunProblem[];
  }[];
}
