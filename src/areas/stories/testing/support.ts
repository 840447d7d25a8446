import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { DefinedBackend } from "../backend.js";

export type BackendCheck = (backend: DefinedBackend) => Promise<void>;

/** Waits until the clock shows a later time. */
export async function nextMoment(): Promise<void> {
  const now = Date.now();
  while (Date.now() <= now + 1) await sleep(1);
}

/** The error that a promise rejects with; fails if it resolves. */
export async function rejection(
  promise: Promise<unknown>,
  what: string,
): Promise<{ code?: unknown; actualRevision?: unknown }> {
  try {
    await promise;
  } catch (error) {
    return error as { code?: unknown };
  }
  return assert.fail(`${what} must reject`);
}

export async function idsOf(backend: DefinedBackend, filter: Parameters<DefinedBackend["list"]>[0]): Promise<string[]> {
  return (await backend.list(filter)).map(({ id }) => id);
}

/** Ids that a file name, a path, a pattern, a property name or a careless comparison may confuse. */
export const HOSTILE_IDS: readonly string[] = [
  "plain",
  "Plain",
  "PLAIN",
  "../../etc/passwd",
  "..",
  ".",
  "/",
  "/etc/passwd",
  "C:\\x",
  "a/b",
  "a\\b",
  "a%2Fb",
  "a%2fb",
  "a b",
  "a ",
  " a",
  "a.",
  "a..",
  "a",
  "CON",
  "con",
  "NUL.txt",
  "COM1",
  "%",
  "_",
  "*",
  "?",
  '"',
  "'; DROP TABLE stories; --",
  "a:b",
  "a|b",
  "<a>",
  "a\nb",
  "a\tb",
  "-rf",
  "~",
  ".index",
  ".index.json",
  "__proto__",
  "constructor",
  "hasOwnProperty",
  "0",
  "00",
  "😀",
  "👩‍👩‍👧",
  "caf\u00e9",
  "cafe\u0301",
  "\u212b",
  "\u00c5",
  "\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
  "\u202eabc",
  "数据库",
  "ß",
  "ss",
  "İ",
  "i",
  "x".repeat(300),
  `${"x".repeat(299)}y`,
  `${"x".repeat(299)}Y`,
  "é".repeat(300),
];
