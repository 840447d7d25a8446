import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The file's name in the data folder. */
export const LOCOMO = "locomo-dev.json";
const UNANSWERABLE = 5;

/** A turn of a conversation. */
export interface Turn {
  /** Unique among all conversations. */
  readonly id: string;
  readonly speaker: string;
  readonly text: string;
  /** The number of its session in the conversation. */
  readonly session: number;
  readonly vector: Float32Array | undefined;
}

export interface Question {
  readonly text: string;
  /** The ids of the turns that answer it. */
  readonly evidence: ReadonlySet<string>;
  readonly vector: Float32Array | undefined;
}

/** A conversation of LoCoMo (Maharana et al. 2024), with questions about it. */
export interface Sample {
  readonly turns: readonly Turn[];
  readonly questions: readonly Question[];
}

interface StoredSample {
  readonly conversation: Readonly<Record<string, unknown>>;
  readonly qa: readonly { question: string; evidence?: readonly string[]; category: number }[];
}

interface StoredVectors {
  readonly dimensions: number;
  readonly sets: readonly { docs: string[]; queries: string[]; docVectors: string; queryVectors: string }[];
}

/**
 * Reads `locomo-dev.json`, and `locomo-dev-vectors.json` if it is in the folder too.
 *
 * Evidence ids without a turn are skipped, and so are questions without evidence and the unanswerable ones (category 5,
 * whose evidence misleads on purpose).
 */
export function readLocomo(folder: string): Sample[] {
  const samples = read<StoredSample[]>(folder, LOCOMO);
  const vectors = existsSync(join(folder, "locomo-dev-vectors.json"))
    ? read<StoredVectors>(folder, "locomo-dev-vectors.json")
    : undefined;
  return samples.map(({ conversation, qa }, number) => {
    const set = vectors?.sets[number];
    const ofTurns = toVectors(set?.docs, set?.docVectors, vectors?.dimensions);
    const ofQuestions = toVectors(set?.queries, set?.queryVectors, vectors?.dimensions);
    const sessions = Object.keys(conversation).flatMap((key) => /^session_(\d+)$/.exec(key)?.[1] ?? []);
    const turns = sessions
      .map(Number)
      .sort((a, b) => a - b)
      .flatMap((session) => {
        const said = conversation[`session_${session}`] as { speaker: string; dia_id: string; text: string }[];
        return said.map(({ dia_id, ...turn }): Turn => {
          return { ...turn, id: `${number}/${dia_id}`, session, vector: ofTurns.get(dia_id) };
        });
      });
    const known = new Set(turns.map(({ id }) => id));
    const questions = qa.flatMap(({ question, evidence = [], category }): Question | [] => {
      const wanted = new Set(evidence.map((id) => `${number}/${id}`).filter((id) => known.has(id)));
      if (wanted.size === 0 || category === UNANSWERABLE) return [];
      return { text: question, evidence: wanted, vector: ofQuestions.get(question) };
    });
    return { turns, questions };
  });
}

/** Vectors by their names, from bytes (int8) in base64, one vector after the other. */
function toVectors(names: readonly string[] = [], base64 = "", dimensions = 0): Map<string, Float32Array> {
  const bytes = Buffer.from(base64, "base64");
  return new Map(
    names.map((name, i) => [
      name,
      Float32Array.from({ length: dimensions }, (_, j) => bytes.readInt8(i * dimensions + j)),
    ]),
  );
}

function read<T>(folder: string, name: string): T {
  return JSON.parse(readFileSync(join(folder, name), "utf8")) as T;
}
