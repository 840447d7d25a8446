import { StorageError, type StorageErrorCode } from "../shared/errors.js";
import { TOO_MANY_FILES } from "./descriptors.js";

/** What a refusal of the file system means to the caller. */
interface Meaning {
  readonly code: StorageErrorCode;
  readonly advice?: string;
  /** Whether it may have passed a moment later. */
  readonly retryable?: true;
}

const FULL: Meaning = { code: "FULL", advice: "The disk is full: make room, or use a place on another disk" };
const NOT_ALLOWED: Meaning = { code: "CANNOT_OPEN", advice: "Check that this user may read and write there" };
const NO_DESCRIPTOR: Meaning = { code: "CANNOT_OPEN", advice: TOO_MANY_FILES, retryable: true };
const WRONG_PATH: Meaning = { code: "CANNOT_OPEN", advice: "Use another path" };
const NO_LINKS: Meaning = {
  code: "NOT_SUPPORTED",
  advice: "Its file system has no hard links, which are needed: use a place on another one",
};
const PASSING: Meaning = { code: "IO", advice: "Try again", retryable: true };
const FAILED: Meaning = {
  code: "IO",
  advice: "The disk or its file system has failed: look at the log of the system, then try again",
};

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOSPC: FULL,
  EDQUOT: FULL,
  EFBIG: FULL,
  EROFS: { code: "READONLY", advice: "The file system can only be read: use a place on another one" },
  EACCES: NOT_ALLOWED,
  EPERM: NOT_ALLOWED,
  ENOENT: { code: "CANNOT_OPEN", advice: "Check the path, and that its folder exists" },
  EISDIR: WRONG_PATH,
  ENOTDIR: WRONG_PATH,
  ELOOP: WRONG_PATH,
  ENAMETOOLONG: WRONG_PATH,
  EEXIST: { code: "EXISTS" },
  EMFILE: NO_DESCRIPTOR,
  ENFILE: NO_DESCRIPTOR,
  EAGAIN: PASSING,
  EINTR: PASSING,
  ENOMEM: PASSING,
};

/** What the file system refused, as a StorageError whose message begins with `what`. Other errors pass as they are. */
export function asFileError(error: unknown, what: string): unknown {
  const meaning = meaningOf(error);
  if (meaning === undefined) return error;
  const { code, advice, retryable } = meaning;
  const { message } = error as Error;
  return new StorageError(code, `${what}: ${message}${advice === undefined ? "" : `. ${advice}`}`, {
    cause: error,
    retryable: retryable === true,
  });
}

/** Whether the file system refused something for want of space. */
export function isFullDisk(error: unknown): boolean {
  return meaningOf(error) === FULL;
}

/** Whether a link failed because the file system has no hard links, such as FAT. */
export function lacksLinks(error: unknown): boolean {
  return meaningOf(error) === NO_LINKS;
}

/** Whether a file operation failed with this code of the system. */
export function hasErrno(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === code;
}

/** For a catch: undefined if the file is missing; throws any other error. */
export function unlessMissing(error: unknown): undefined {
  if (!hasErrno(error, "ENOENT")) throw error;
}

function meaningOf(error: unknown): Meaning | undefined {
  if (!(error instanceof Error) || error instanceof StorageError) return undefined;
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (syscall === undefined || code === undefined) return undefined;
  if (syscall === "link" && ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(code)) return NO_LINKS;
  // A file where a folder is to be made.
  if (syscall === "mkdir" && code === "EEXIST") return WRONG_PATH;
  return MEANINGS[code] ?? FAILED;
}
