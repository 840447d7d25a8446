import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The 1,460 abstracts of CISI, which are of document length, and 76 questions, many of them long. */
export interface Cisi {
  readonly documents: readonly { readonly id: string; readonly text: string }[];
  readonly queries: readonly { readonly text: string; readonly relevant: ReadonlySet<string> }[];
}

interface StoredCisi {
  readonly documents: readonly { id: number; title: string; text: string }[];
  readonly queries: readonly { text: string; relevant: readonly number[] }[];
}

/** Reads `cisi.json`. */
export function readCisi(folder: string): Cisi {
  const { documents, queries } = JSON.parse(readFileSync(join(folder, "cisi.json"), "utf8")) as StoredCisi;
  return {
    documents: documents.map(({ id, title, text }) => ({ id: String(id), text: `${title}\n${text}` })),
    queries: queries.map(({ text, relevant }) => ({ text, relevant: new Set(relevant.map(String)) })),
  };
}

/** The same with each document, its title included, cut to its first `words`, and each query to its first `queryWords`. */
export function cutTo({ documents, queries }: Cisi, words: number, queryWords = Number.POSITIVE_INFINITY): Cisi {
  return {
    documents: documents.map(({ id, text }) => ({ id, text: firstWords(text, words) })),
    queries: queries.map(({ text, relevant }) => ({ text: firstWords(text, queryWords), relevant })),
  };
}

function firstWords(text: string, count: number): string {
  return text.split(/\s+/).slice(0, count).join(" ");
}
