import { randomUUID } from "node:crypto";
import type { Session } from "../areas/sessions/record.js";
import type { Storage } from "../storage/storage.js";
import { MemvidError } from "./memvid-error.js";
import type { SessionSummary } from "./memvid-types.js";
import { toSeconds } from "./timestamp.js";

/** The key in a session's metadata that marks it as a recording. */
const RECORDING_KEY = "memvid";

interface Counts {
  readonly action_count: number;
  readonly checkpoint_count: number;
}

/**
 * The recording session of one open memory. It counts calls, and does not record their results.
 *
 * It is a session of project `"default"`. Once it has ended, its summary has the counts.
 */
export class Recording {
  #id: string | undefined;
  #actions = 0;
  #checkpoints = 0;

  /** Counts a call, if a session is active. */
  count(): void {
    this.#actions++;
  }

  async start({ sessions }: Storage, name: string | undefined): Promise<string> {
    if (this.#id !== undefined) throw new MemvidError("MV999", "A session is active already. Call sessionEnd() first");
    const { id } = await sessions.start(randomUUID(), {
      metadata: { [RECORDING_KEY]: name === undefined ? {} : { name } },
    });
    this.#id = id;
    this.#actions = 0;
    this.#checkpoints = 0;
    return id;
  }

  /** Counts a checkpoint. Returns its number as text, or null if no session is active. */
  checkpoint(): string | null {
    return this.#id === undefined ? null : String(this.#checkpoints++);
  }

  async end({ sessions }: Storage): Promise<SessionSummary> {
    if (this.#id === undefined) throw new MemvidError("MV999", "No active session. Call sessionStart() first");
    const counts: Counts = { action_count: this.#actions, checkpoint_count: this.#checkpoints };
    const session = await sessions.end(this.#id, JSON.stringify(counts));
    this.#id = undefined;
    if (session === undefined) throw new MemvidError("MV999", "The session was removed while it was active");
    return toSummary(session);
  }
}

/** The sessions that were recorded, the oldest first. */
export async function listRecordings({ sessions }: Storage): Promise<SessionSummary[]> {
  const all = await sessions.latest(Number.POSITIVE_INFINITY);
  return all
    .filter(({ metadata }) => RECORDING_KEY in metadata)
    .map(toSummary)
    .reverse();
}

function toSummary({ id, startedAt, endedAt, summary, metadata }: Session): SessionSummary {
  const { name } = metadata[RECORDING_KEY] as { name?: string };
  const { action_count = 0, checkpoint_count = 0 } = summary === null ? {} : (JSON.parse(summary) as Partial<Counts>);
  const created_secs = toSeconds(startedAt);
  const ended_secs = endedAt === null ? undefined : toSeconds(endedAt);
  return {
    session_id: id,
    ...(name === undefined ? {} : { name }),
    created_secs,
    ...(ended_secs === undefined ? {} : { ended_secs }),
    action_count,
    checkpoint_count,
    duration_secs: ended_secs === undefined ? 0 : Math.max(0, ended_secs - created_secs),
  };
}
