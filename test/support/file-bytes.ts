import { runChild } from "./child.js";

/** The hash of a database file that this process may have open: a child process reads it. */
export async function hashOfOpen(path: string): Promise<string> {
  return (await runChild<{ hash: string }>("file-bytes", { path })).hash;
}

/** Copies a database file that this process may have open, with its log: a child process does it. */
export async function copyOpen(from: string, to: string): Promise<void> {
  await runChild("file-bytes", { copies: ["", "-wal"].map((suffix) => [from + suffix, to + suffix]) });
}
