import { createHash } from "node:crypto";

/** How many newlines at the end of an applied file are looked for. */
const MOST_NEWLINES = 16;

/** SHA-256 of a file's text, in hex: drizzle's own, and what the ledger has. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** A text without its byte order mark. */
export function withoutMark(text: string): string {
  return text.startsWith("\ufeff") ? text.slice(1) : text;
}

/**
 * The hashes of every text that differs from `sql` only in its byte order mark, its line endings or the newlines at its
 * end.
 *
 * Git and editors change these without changing the SQL, while drizzle's hash is of the file as it is.
 */
export function equivalentHashes(sql: string): ReadonlySet<string> {
  const text = withoutMark(sql).replaceAll("\r\n", "\n").replace(/\n+$/, "");
  const hashes = new Set<string>();
  for (const mark of ["", "\ufeff"]) {
    for (const newline of ["\n", "\r\n"]) {
      const hash = createHash("sha256").update(mark + text.replaceAll("\n", newline));
      for (let count = 0; count <= MOST_NEWLINES; count++) {
        hashes.add(hash.copy().digest("hex"));
        hash.update(newline);
      }
    }
  }
  return hashes;
}
