import { StorageError } from "../../shared/errors.js";

/** A save expected a revision that is not the stored one; nothing was stored. Its code is `CONFLICT`. */
export class RevisionConflictError extends StorageError {
  override readonly name = "RevisionConflictError";
  /** The id of the story. */
  override readonly id: string;
  /** The revision that the save expected. */
  readonly expectedRevision: number;
  /** The stored revision; 0 if there is no such story. */
  readonly actualRevision: number;

  constructor(id: string, expectedRevision: number, actualRevision: number) {
    const found = actualRevision === 0 ? "there is none" : `it is at revision ${actualRevision}`;
    const expected = expectedRevision === 0 ? "not to exist" : `at revision ${expectedRevision}`;
    super(
      "CONFLICT",
      `Story ${JSON.stringify(id)} was expected ${expected}, but ${found}: load it, merge, and save again`,
    );
    this.id = id;
    this.expectedRevision = expectedRevision;
    this.actualRevision = actualRevision;
  }
}

/** A story is not valid: an import, or the result of a migration. Its code is `INVALID_STORY`. */
export class InvalidStoryError extends StorageError {
  override readonly name = "InvalidStoryError";
  /** What is wrong with the story. */
  readonly errors: readonly string[];
  /** What is unusual, but no reason to refuse it. */
  readonly warnings: readonly string[];

  constructor(id: string, errors: readonly string[], warnings: readonly string[], outcome = "It was left as it is") {
    super("INVALID_STORY", `Story ${JSON.stringify(id)} is invalid: ${errors.join("; ")}. ${outcome}`);
    this.errors = errors;
    this.warnings = warnings;
  }
}

export function noStory(id: string): StorageError {
  return new StorageError("NOT_FOUND", `No story ${JSON.stringify(id)}`);
}
