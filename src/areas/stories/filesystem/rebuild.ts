import { statSync } from "node:fs";
import { hashText } from "../../checksum.js";
import { titleAfter, titleIn } from "../story.js";
import { lstat, namesIn, readBytesSync, readTextSync, toText } from "./files.js";
import { fromFileName, toFileName } from "./names.js";
import { type IndexEntry, parseRecord, type RevisionRecord, type StoryRecord, toEntry } from "./record.js";
import type { StoryRoot } from "./root.js";
import { parseStory } from "./story-text.js";

const METADATA = ".meta.json";

/** The entries of all stories with metadata; only under the lock. The next check of the others finds them. */
export function readEntries(root: StoryRoot): IndexEntry[] {
  const entries: IndexEntry[] = [];
  for (const file of namesIn(root.at("metadata"))) {
    if (!file.endsWith(METADATA)) continue;
    const record = readMetadata(root, file.slice(0, -METADATA.length));
    if (record?.isDeleted === false) entries.push(toEntry(record));
  }
  return entries;
}

/**
 * The record of a story, deleted or not. If its metadata is missing or damaged, it is rebuilt from the index and the
 * revisions, which do not contain tags and exact times.
 */
export function readRecord(root: StoryRoot, name: string, entry: IndexEntry | undefined): StoryRecord | undefined {
  const record = readMetadata(root, name);
  if (record !== undefined) return record;
  const past = readRevisions(root, name);
  const history = past.map(({ text, ...revision }) => revision);
  if (entry !== undefined) {
    const { revision, size, updatedAt, sum } = entry;
    const present = { revision, size, createdAt: updatedAt, sum };
    const isKept = history[0]?.revision === revision;
    return { ...toEntry(entry), history: isKept ? history : [present, ...history] };
  }
  const [last] = past;
  const data = last?.text === undefined ? undefined : parseStory(last.text);
  if (last === undefined || data === undefined || typeof data === "string") return undefined;
  const id = idOf(name, data);
  if (id === undefined) return undefined;
  return {
    id,
    ...titleAfter({ ownTitle: undefined, dataTitle: titleIn(data) }, undefined),
    tags: [],
    size: last.size,
    revision: last.revision,
    createdAt: Math.min(...history.map(({ createdAt }) => createdAt)),
    updatedAt: last.createdAt,
    sequence: 0,
    sum: last.sum,
    isDeleted: lstat(root.at("stories", `${name}.json`)) === undefined,
    history,
    isRebuilt: true,
  };
}

/** The id of a story from its file name; an id that is too long for a name comes from the story itself. */
export function idOf(name: string, { id }: { readonly id?: unknown }): string | undefined {
  return fromFileName(name) ?? (typeof id === "string" && toFileName(id) === name ? id : undefined);
}

function readMetadata(root: StoryRoot, name: string): StoryRecord | undefined {
  const record = parseRecord(readTextSync(root.at("metadata", `${name}${METADATA}`)));
  return record !== undefined && toFileName(record.id) === name ? record : undefined;
}

/** Newest first. A file that is not UTF-8 has no text, but keeps its number, so that no later revision replaces it. */
function readRevisions(root: StoryRoot, name: string): (RevisionRecord & { readonly text: string | undefined })[] {
  const revisions: (RevisionRecord & { readonly text: string | undefined })[] = [];
  for (const file of namesIn(root.at("revisions", name))) {
    const revision = Number(/^([1-9]\d{0,14})\.json$/.exec(file)?.[1]);
    const path = root.at("revisions", name, file);
    const bytes = Number.isNaN(revision) ? undefined : readBytesSync(path);
    if (bytes === undefined) continue;
    const text = toText(bytes);
    const createdAt = Math.trunc(statSync(path).mtimeMs);
    revisions.push({ revision, size: bytes.length, createdAt, sum: hashText(text ?? bytes.toString("utf8")), text });
  }
  return revisions.sort((a, b) => b.revision - a.revision);
}
