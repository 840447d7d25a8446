import type { Trial } from "./trial.js";
import * as backup from "./trials/backup.js";
import * as conversations from "./trials/conversations.js";
import * as disk from "./trials/disk.js";
import * as graph from "./trials/graph.js";
import * as limits from "./trials/limits.js";
import * as list from "./trials/list.js";
import * as longText from "./trials/long-text.js";
import * as lost from "./trials/lost.js";
import * as memvid from "./trials/memvid.js";
import * as open from "./trials/open.js";
import * as pointRead from "./trials/point-read.js";
import * as quality from "./trials/quality.js";
import * as remote from "./trials/remote.js";
import * as search from "./trials/search.js";
import * as stall from "./trials/stall.js";
import * as startUp from "./trials/start-up.js";
import * as stories from "./trials/stories.js";
import * as vectors from "./trials/vectors.js";
import * as writes from "./trials/writes.js";

/** Trials that have a section and a chart together. */
export interface TrialGroup {
  /** Names the files of its charts. */
  readonly name: string;
  readonly heading: string;
  readonly note?: string;
  /** See `Trial.isCases`, for all of them. */
  readonly isCases?: boolean;
  readonly trials: Readonly<Record<string, Trial>>;
}

export const GROUPS: readonly TrialGroup[] = [
  { name: "reads", heading: "Reads", trials: { ...pointRead, ...list } },
  {
    name: "writes",
    heading: "Writes",
    note: "A durable commit waits for the disk, so awaited writes cost the same everywhere.",
    trials: writes,
  },
  {
    name: "limits",
    heading: "Memories against the limit",
    note: "The raw statements store fewer columns, check nothing, and block the event loop. They show what the library and the index cost without Holdfast.",
    trials: limits,
  },
  { name: "lost", heading: "Records that are lost", trials: lost },
  { name: "search", heading: "Search", trials: { ...search, ...longText } },
  {
    name: "quality",
    heading: "Search quality",
    note: "The share of the turns that answer a question among the first ten results, mean of all questions of the development half of LoCoMo. Holdfast was developed on these questions. `npm run bench:search` has more sets.",
    trials: quality,
  },
  { name: "vectors", heading: "Vectors", trials: vectors },
  { name: "graph", heading: "Graphs", trials: graph },
  { name: "conversations", heading: "Conversations", isCases: true, trials: conversations },
  { name: "stories", heading: "Stories", isCases: true, trials: stories },
  { name: "memvid", heading: "memvid", isCases: true, trials: memvid },
  { name: "start", heading: "Starting and opening", trials: { ...startUp, ...open } },
  { name: "event-loop", heading: "The event loop", trials: stall },
  { name: "disk", heading: "Disk space", trials: disk },
  { name: "backup", heading: "Backups", trials: backup },
  { name: "remote", heading: "Servers and replicas", isCases: true, trials: remote },
];

/** All trials by name, with what their groups say. */
export const TRIALS: Readonly<Record<string, Trial>> = Object.fromEntries(
  GROUPS.flatMap(({ trials, isCases }) =>
    Object.entries(trials).map(([name, trial]) => [name, isCases === true ? { ...trial, isCases } : trial]),
  ),
);
