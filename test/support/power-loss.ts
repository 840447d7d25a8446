import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Random } from "./random.js";

/** One call of the child, as fault-shim.c records it. */
interface TraceRecord {
  readonly kind: (typeof KINDS)[number];
  readonly path: string;
  readonly second: string;
  readonly inode: bigint;
  /** Of a write; the length of a truncation; 1 where an open made the file. */
  readonly offset: number;
  readonly data: Buffer;
}

const KINDS = [
  "write",
  "write",
  "sync",
  "sync",
  "truncate",
  "rename",
  "link",
  "open",
  "unlink",
  "mkdir",
  "rmdir",
] as const;
const HEAD_BYTES = 32;
const SECTOR_BYTES = 512;
/** A write to this file is a report of the child, at its place among the calls. */
export const MARKS = "marks.jsonl";

/** Reads a trace of the shim. */
export function readTrace(file: string): TraceRecord[] {
  const bytes = readFileSync(file);
  const records: TraceRecord[] = [];
  for (let at = 0; at + HEAD_BYTES <= bytes.length; ) {
    const [kind, pathLength, secondLength, dataLength] = [0, 4, 8, 12].map((i) => bytes.readUInt32LE(at + i)) as [
      number,
      number,
      number,
      number,
    ];
    const text = at + HEAD_BYTES;
    const data = text + pathLength + secondLength;
    records.push({
      kind: KINDS[kind]!,
      path: bytes.toString("utf8", text, text + pathLength),
      second: bytes.toString("utf8", text + pathLength, data),
      inode: bytes.readBigUInt64LE(at + 16),
      offset: Number(bytes.readBigUInt64LE(at + 24)),
      data: bytes.subarray(data, data + dataLength),
    });
    at = data + dataLength;
  }
  return records;
}

type Change = { readonly at: number; readonly offset: number; readonly data: Buffer | undefined };

/** The content of a file: the synced part, and the requests since. */
class Content {
  synced = Buffer.alloc(0);
  pending: Change[] = [];

  sync(): void {
    for (const change of this.pending) this.synced = applied(this.synced, change);
    this.pending = [];
  }
}

function applied(content: Buffer, { offset, data }: Change): Buffer<ArrayBuffer> {
  const length = data === undefined ? offset : Math.max(content.length, offset + data.length);
  const result = Buffer.alloc(length);
  content.copy(result, 0, 0, Math.min(content.length, length));
  data?.copy(result, offset);
  return result;
}

/** A change of names: creation, rename, link or removal. */
type Naming = (names: Map<string, Content | "folder">) => void;

/**
 * A disk that can lose power, driven by a trace.
 *
 * Names change in order, as in journaling file systems (ext4, xfs). Any sync makes all earlier changes of names
 * durable, and some of the later ones, from the first on, may be durable too. Data becomes durable only by the sync of
 * its file. Of the writes since, any part may be missing, in any order, down to single sectors.
 */
export class Disk {
  readonly #folder: string;
  readonly #names = new Map<string, Content | "folder">();
  #pendingNames: Naming[] = [];
  readonly #contents = new Map<bigint, Content>();
  /** The reports of the child so far. */
  readonly marks: unknown[] = [];
  #time = 0;

  /** `folder` is the folder of the recording. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Adds a call. Returns whether it was a sync or a change of names. */
  take(record: TraceRecord): boolean {
    const { kind, path, second, inode, offset, data } = record;
    const at = this.#time++;
    if (basename(path) === MARKS) {
      if (kind === "write") for (const line of data.toString().trim().split("\n")) this.marks.push(JSON.parse(line));
      return false;
    }
    switch (kind) {
      case "write":
        this.#contentOf(inode).pending.push({ at, offset, data });
        return false;
      case "truncate":
        this.#contentOf(inode).pending.push({ at, offset, data: undefined });
        return false;
      case "sync": {
        this.#contents.get(inode)?.sync();
        for (const change of this.#pendingNames) change(this.#names);
        this.#pendingNames = [];
        return true;
      }
      case "open": {
        if (offset === 0) {
          this.#contentOf(inode).pending.push({ at, offset: 0, data: undefined });
          return true;
        }
        const content = new Content();
        this.#contents.set(inode, content);
        return this.#name((names) => names.set(path, content));
      }
      case "rename":
        return this.#name((names) => {
          for (const [name, found] of [...names]) {
            if (name !== path && !name.startsWith(`${path}/`)) continue;
            names.delete(name);
            names.set(second + name.slice(path.length), found);
          }
        });
      case "link":
        return this.#name((names) => names.set(second, names.get(path)!));
      case "unlink":
      case "rmdir":
        return this.#name((names) => names.delete(path));
      case "mkdir":
        return this.#name((names) => names.set(path, "folder"));
    }
  }

  #name(change: Naming): true {
    this.#pendingNames.push(change);
    return true;
  }

  #contentOf(inode: bigint): Content {
    const known = this.#contents.get(inode);
    if (known !== undefined) return known;
    const content = new Content();
    this.#contents.set(inode, content);
    return content;
  }

  /** Writes to `into` one of the states in which a loss of power at this moment may leave the folder. */
  lose(random: Random, into: string): void {
    const names = new Map(this.#names);
    const kept = random.below(this.#pendingNames.length + 1);
    for (const change of this.#pendingNames.slice(0, kept)) change(names);
    // The share of unsynced data that arrives, from none to nearly all.
    const share = random.pick([0, 0.2, 0.5, 0.8, 0.97]);
    const states = new Map<Content, Buffer>();
    for (const [path, content] of names) {
      const to = join(into, path.slice(this.#folder.length));
      if (content === "folder") {
        mkdirSync(to, { recursive: true });
        continue;
      }
      mkdirSync(dirname(to), { recursive: true });
      // Two names of one file have the same content.
      if (!states.has(content)) states.set(content, survivors(content, random, share));
      // It is mapped into memory, and may contain anything after a crash.
      if (path.endsWith("-shm")) writeFileSync(to, Buffer.alloc(32768, random.below(256)));
      else writeFileSync(to, states.get(content)!);
    }
  }
}

/** The content after a loss of power, if `share` of the unsynced data has arrived. */
function survivors({ synced, pending }: Content, random: Random, share: number): Buffer {
  const arrived: Change[] = [];
  for (const change of pending) {
    const chance = random.next();
    if (chance < share * 0.8) arrived.push(change);
    else if (chance < share && change.data !== undefined) arrived.push(...torn(change, random));
  }
  // Sometimes in another order, which matters if two writes went to the same place.
  if (random.below(3) === 0) arrived.sort((a, b) => (random.below(2) === 0 ? b.at - a.at : a.at - b.at));
  return arrived.reduce<Buffer>(applied, synced);
}

/** Some sectors of a write. */
function torn({ at, offset, data }: Change, random: Random): Change[] {
  const parts: Change[] = [];
  for (let from = 0; from < data!.length; ) {
    const to = Math.min(data!.length, from + SECTOR_BYTES - ((offset + from) % SECTOR_BYTES));
    if (random.below(2) === 0) parts.push({ at, offset: offset + from, data: data!.subarray(from, to) });
    from = to;
  }
  return parts;
}
