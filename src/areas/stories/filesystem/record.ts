import { checksumOf } from "../../checksum.js";
import type { StoryMetadata } from "../story.js";

/** A revision as the metadata file tells of it. */
export interface RevisionRecord {
  readonly revision: number;
  readonly size: number;
  readonly createdAt: number;
  /** Of its JSON. */
  readonly sum: string;
  /** Another program made it, by changing the file. */
  readonly source?: "outside" | undefined;
}

/** What the index knows of each story. */
export interface IndexEntry {
  readonly id: string;
  readonly title: string;
  readonly titleIsOwn: boolean;
  readonly tags: readonly string[];
  readonly size: number;
  readonly revision: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Counts the changes of the whole folder: it settles the order of those in one millisecond. */
  readonly sequence: number;
  /** Of the story's JSON. */
  readonly sum: string;
  readonly isDeleted: boolean;
}

/** The metadata file of a story. */
export interface StoryRecord extends IndexEntry {
  /** Newest first, the present one included. */
  readonly history: readonly RevisionRecord[];
  /** The present text is also in a file next to the metadata. Older versions of this library leave this out. */
  readonly isCopied?: boolean;
  /** Put together from the revisions, all of which have their files. */
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

/** The text of a metadata file, with a checksum over all of it. */
export function serializeRecord(record: StoryRecord): string {
  const body = JSON.stringify(record);
  return JSON.stringify({ ...record, checksum: checksumOf([body]) }, undefined, 2);
}

/** Undefined for anything but what `serializeRecord` made. */
export function parseRecord(text: string | undefined): StoryRecord | undefined {
  try {
    const { checksum, ...record } = JSON.parse(text ?? "") as StoryRecord & { checksum: string };
    return checksumOf([JSON.stringify(record)]) === checksum ? record : undefined;
  } catch {
    // Damaged: what it said is put together again from the other files.
    return undefined;
  }
}
