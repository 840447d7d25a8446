import { readFileSync } from "node:fs";
import { StorageError } from "holdfast";
import { expect, test } from "vitest";
import { asFileError } from "../../src/files/file-error.js";

function refused(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: refused, ${syscall}`), { code, syscall });
}

test.each([
  ["ENOSPC", "write", "FULL", /disk is full/, false],
  ["EDQUOT", "fsync", "FULL", /disk is full/, false],
  ["EFBIG", "write", "FULL", /disk is full/, false],
  ["EROFS", "open", "READONLY", /only be read/, false],
  ["EACCES", "open", "CANNOT_OPEN", /this user/, false],
  ["EPERM", "open", "CANNOT_OPEN", /this user/, false],
  ["EPERM", "link", "NOT_SUPPORTED", /hard links/, false],
  ["EOPNOTSUPP", "link", "NOT_SUPPORTED", /hard links/, false],
  ["ENOENT", "mkdir", "CANNOT_OPEN", /Check the path/, false],
  ["ENOTDIR", "open", "CANNOT_OPEN", /another path/, false],
  ["EEXIST", "mkdir", "CANNOT_OPEN", /another path/, false],
  ["EEXIST", "open", "EXISTS", /EEXIST/, false],
  ["EMFILE", "open", "CANNOT_OPEN", /ulimit -n/, true],
  ["EAGAIN", "spawn node", "IO", /Try again/, true],
  ["EIO", "read", "IO", /log of the system/, false],
] as const)("%s of %s is %s, whatever part of the library meets it", (errno, syscall, code, advice, retryable) => {
  const cause = refused(errno, syscall);
  const error = asFileError(cause, "Cannot write a.db") as StorageError;
  expect(error).toMatchObject({ name: "StorageError", code, retryable, cause });
  expect(error.message).toMatch(/^Cannot write a\.db: E/);
  expect(error.message).toMatch(advice);
});

test("errors that are not of the file system pass as they are", () => {
  const own = new StorageError("BUSY", "busy");
  const other = new TypeError("wrong");
  expect(asFileError(own, "x")).toBe(own);
  expect(asFileError(other, "x")).toBe(other);
  expect(asFileError(undefined, "x")).toBe(undefined);
  let real: unknown;
  try {
    readFileSync("/nowhere/at/all");
  } catch (error) {
    real = error;
  }
  expect(asFileError(real, "Cannot read it")).toMatchObject({ code: "CANNOT_OPEN", cause: real });
});
