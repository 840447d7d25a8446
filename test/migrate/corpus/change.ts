/** A change of a schema, with the rows on which it is tried. Each string is one statement. */
export interface SchemaChange {
  readonly name: string;
  /** The schema before: the first migration. */
  readonly before: readonly string[];
  /** The change: the second migration. */
  readonly up: readonly string[];
  readonly down?: readonly string[];
  /** The same schema as after the change, in an empty database. */
  readonly after: readonly string[];
  /** The schema after the change was reverted, if it differs from `before`. */
  readonly back?: readonly string[];
  /** The rows before. */
  readonly rows: readonly string[];
  /** The same rows in the schema after. @default `rows` */
  readonly rowsAfter?: readonly string[];
  /** The same rows after the change was reverted. @default `rows` */
  readonly rowsBack?: readonly string[];
  /** The same rows after the change was reverted and applied again. @default `rowsAfter` */
  readonly rowsAgain?: readonly string[];
  /** Writes that fire the triggers of the schema after. */
  readonly probe: readonly string[];
  /** Rows with which the change must fail. */
  readonly violating?: readonly string[];
  /** The indexes in the snapshots, with their tables. */
  readonly indexesBefore?: Readonly<Record<string, string>>;
  readonly indexesAfter?: Readonly<Record<string, string>>;
  /** The error of Holdfast, if it refuses the change even on an empty database. */
  readonly refused?: string;
  /** A server refuses one of its statements. */
  readonly isFileOnly?: true;
  /** How a stock migrator's result differs, after Holdfast has re-created what it can. */
  readonly stock?: StockResult;
}

export interface StockResult {
  /** The stock migrator cannot apply the change, and leaves the database as it was. */
  readonly fails?: true;
  /** The stock migrator also applies it to violating rows: it does not check foreign keys. */
  readonly accepts?: true;
  /** The parts of the database that it loses, such as `index posts_by_hand`. */
  readonly loses?: readonly string[];
  /** What differs after the probe, because of these. */
  readonly losesLater?: readonly string[];
}
