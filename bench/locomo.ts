import { readFileSync } from "node:fs";

/** The file's name in the data folder. */
export const LOCOMO = "locomo-dev.json";

export interface Turn {
  readonly speaker: string;
  readonly dia_id: string;
  readonly text: string;
}

/** A conversation of LoCoMo (Maharana et al. 2024), with questions about it. */
export interface Sample {
  readonly conversation: Readonly<Record<string, unknown>>;
  readonly qa: readonly { question: string; evidence?: readonly string[]; category: number }[];
}

export function readLocomo(file: string): Sample[] {
  return JSON.parse(readFileSync(file, "utf8")) as Sample[];
}

/** The turns of all sessions, in order. */
export function turnsOf({ conversation }: Sample): Turn[] {
  const sessions = Object.keys(conversation).flatMap((key) => /^session_(\d+)$/.exec(key)?.[1] ?? []);
  const inOrder = sessions.map(Number).sort((a, b) => a - b);
  return inOrder.flatMap((session) => (conversation[`session_${session}`] ?? []) as Turn[]);
}
