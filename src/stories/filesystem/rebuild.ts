import { statSync } from "node:fs";
import { hashText } from "../../repositories/checksum.js";
import { type StoryData, titleAfter, titleIn } from "../story.js";
import { namesIn, readText, readTextSync } from "./files.js";
import { fromFileName, toFileName } from "./names.js";
import {
  type IndexEntry,
  parseRecord,
  type RevisionRecord,
  type StoryRecord,
  serializeRecord,
  toEntry,
} from "./record.js";
import type { StoryRoot } from "./root.js";

const STORY = ".json";
const METADATA = ".meta.json";

/**
 * The entries of all stories, from their metadata; only under the lock. A story whose metadata is missing or damaged
 * gets new: its JSON and its earlier revisions say all but tags and exact times.
 */
export async function readEntries(root: StoryRoot): Promise<IndexEntry[]> {
  const records = new Map<string, StoryRecord>();
  for (const file of namesIn(root.at("metadata"))) {
    if (!file.endsWith(METADATA)) continue;
    const record = parseRecord(readTextSync(root.at("metadata", file)));
    const name = file.slice(0, -METADATA.length);
    if (record !== undefined && toFileName(record.id) === name) records.set(name, record);
  }
  let sequence = Math.max(0, ...[...records.values()].map((record) => record.sequence));
  for (const file of namesIn(root.at("stories"))) {
    const name = file.slice(0, -STORY.length);
    if (!file.endsWith(STORY) || records.has(name)) continue;
    const record = await adopt(root, name, sequence + 1);
    if (record === undefined) continue;
    sequence++;
    records.set(name, record);
    await root.write(`metadata/${name}${METADATA}`, serializeRecord(record));
  }
  return [...records.values()].filter((record) => !record.isDeleted).map(toEntry);
}

/** The record of a story file without one; undefined where it is no story, or nothing says of which id. */
async function adopt(root: StoryRoot, name: string, sequence: number): Promise<StoryRecord | undefined> {
  const path = root.at("stories", `${name}${STORY}`);
  const text = await readText(path);
  const data = parse(text);
  if (text === undefined || data === undefined) return undefined;
  const id = idOf(name, data);
  if (id === undefined) return undefined;
  const history = await readHistory(root, name);
  const revision = (history[0]?.revision ?? 0) + 1;
  const size = Buffer.byteLength(text);
  const sum = hashText(text);
  const updatedAt = Math.trunc(statSync(path).mtimeMs);
  const createdAt = history.at(-1)?.createdAt ?? updatedAt;
  const title = titleAfter({ ownTitle: undefined, dataTitle: titleIn(data) }, undefined);
  const present = { revision, size, createdAt: updatedAt, sum };
  const times = { createdAt: Math.min(createdAt, updatedAt), updatedAt };
  return {
    id,
    ...title,
    tags: [],
    size,
    revision,
    ...times,
    sequence,
    sum,
    isDeleted: false,
    history: [present, ...history],
  };
}

function parse(text: string | undefined): StoryData | undefined {
  try {
    const data: unknown = JSON.parse(text ?? "");
    return typeof data === "object" && data !== null && !Array.isArray(data) ? (data as StoryData) : undefined;
  } catch {
    // Not a story; whatever it is, it stays where it is.
    return undefined;
  }
}

function idOf(name: string, data: StoryData): string | undefined {
  const { id } = data;
  return fromFileName(name) ?? (typeof id === "string" && toFileName(id) === name ? id : undefined);
}

async function readHistory(root: StoryRoot, name: string): Promise<RevisionRecord[]> {
  const history: RevisionRecord[] = [];
  for (const file of namesIn(root.at("revisions", name))) {
    const revision = Number(/^([1-9]\d{0,14})\.json$/.exec(file)?.[1]);
    const path = root.at("revisions", name, file);
    const text = Number.isNaN(revision) ? undefined : await readText(path);
    if (text === undefined) continue;
    const createdAt = Math.trunc(statSync(path).mtimeMs);
    history.push({ revision, size: Buffer.byteLength(text), createdAt, sum: hashText(text) });
  }
  return history.sort((a, b) => b.revision - a.revision);
}
