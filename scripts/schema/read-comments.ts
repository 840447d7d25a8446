import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseDocComment } from "../api/doc-comment.js";

/** The doc comments of a table and its columns, by the names of the database. */
export interface TableComments {
  readonly text: string;
  readonly columns: ReadonlyMap<string, string>;
}

const FOLDER = fileURLToPath(new URL("../../src/schema/", import.meta.url));
const TABLE = /(\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?export const \w+ = sqliteTable\(\s*"(\w+)"([\s\S]*?)^\S*\);$/gm;
const COLUMN = /(\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?\s*\w+: (?:integer|text|real|blob)\("(\w+)"/g;

/** The comments of all tables, by the name of the table. */
export function readComments(): ReadonlyMap<string, TableComments> {
  const comments = new Map<string, TableComments>();
  for (const name of readdirSync(FOLDER)) {
    for (const [, comment, table, body] of readFileSync(`${FOLDER}${name}`, "utf8").matchAll(TABLE)) {
      const columns = [...body!.matchAll(COLUMN)].map(([, own, column]) => [column!, textOf(own)] as const);
      comments.set(table!, { text: textOf(comment), columns: new Map(columns) });
    }
  }
  return comments;
}

function textOf(comment: string | undefined): string {
  return comment === undefined ? "" : parseDocComment(comment.trim()).text;
}
