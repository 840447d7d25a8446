import { checksumOf } from "../../checksum.js";
import type { StoryMetadata } from "../story.js";

/** A revision in the metadata file. */
export interface RevisionRecord {
  readonly revision: number;
  readonly size: number;
  readonly createdAt: number;
  /** The hash of its JSON. */
  readonly sum: string;
  /** Another program made it by changing the file. */
  readonly source?: "outside" | undefined;
}

/** The entry of a story in the index. */
export interface IndexEntry {
  readonly id: string;
  readonly title: string;
  readonly titleIsOwn: boolean;
  readonly tags: readonly string[];
  readonly size: number;
  readonly revision: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Counts the changes of the whole folder, which orders changes of the same millisecond. */
  readonly sequence: number;
  /** The hash of the story's JSON. */
  readonly sum: string;
  readonly isDeleted: boolean;
}

/** The metadata file of a story. */
export interface StoryRecord extends IndexEntry {
  /** Newest first, with the current one. */
  readonly history: readonly RevisionRecord[];
  /** The current text is also in a file next to the metadata. Older versions of this library omit this. */
  readonly isCopied?: boolean;
  /** It was rebuilt from the revisions, which all have their files. */
  readonly isRebuilt?: true;
}

export function toMetadata({ id, title, tags, size, revision, createdAt, updatedAt }: IndexEntry): StoryMetadata {
  const times = { createdAt: new Date(createdAt), updatedAt: new Date(updatedAt) };
  return { id, title, tags: [...tags], size, revision, ...times };
}

export function toEntry(record: IndexEntry): IndexEntry {
  const { id, title, titleIsOwn, tags, size, revision, createdAt, updatedAt, sequence, sum, isDeleted } = record;
  return { id, title, titleIsOwn, tags, size, revision, createdAt, updatedAt, sequence, sum, isDeleted };
}

/** The text of a metadata file, with a checksum of the whole record. */
export function serializeRecord(record: StoryRecord): string {
  const body = JSON.stringify(record);
  return JSON.stringify({ ...record, checksum: checksumOf([body]) }, undefined, 2);
}

/** Undefined for any text that `serializeRecord` did not make. */
export function parseRecord(text: string | undefined): StoryRecord | undefined {
  try {
    const { checksum, ...record } = JSON.parse(text ?? "") as StoryRecord & { checksum: string };
    return checksumOf([JSON.stringify(record)]) === checksum ? record : undefined;
  } catch {
    // It is damaged, so the record is rebuilt from the other files.
    return undefined;
  }
}
