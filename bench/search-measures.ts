import { createHash } from "node:crypto";
import { createClient } from "@libsql/client";
import { isStopWord } from "../src/search/stop-words.js";
import { openStorage } from "../src/storage/storage.js";
import type { Cisi } from "./cisi.js";
import type { Sample, Turn } from "./locomo.js";

const LIMIT = 10;
const MODEL = "weak";
const HASHED_DIMENSIONS = 150;

/** Figures of one set, each from 0 to 1, and the median time of a search. */
export interface Quality {
  /** The share of the relevant records among the first ten, mean of all questions. */
  readonly recall: number;
  /** One by the place of the first relevant record, 0 if it is not among the first ten. */
  readonly mrr: number;
  /** Normalized discounted cumulative gain of the first ten. */
  readonly ndcg: number;
  readonly medianMs: number;
}

/** Resolves to the ids of the records that a search finds, best first. */
type Find = (text: string, vector: Float32Array | undefined) => Promise<readonly string[]>;

interface Asked {
  readonly text: string;
  readonly relevant: ReadonlySet<string>;
  readonly vector?: Float32Array | undefined;
  readonly find: Find;
}

export interface TurnOptions {
  /** Leave out the speakers' names. */
  readonly isBare?: boolean;
  /** Give each memory the session of its turn. */
  readonly withSessions?: boolean;
  /** Search with the vectors of the data set too, which are from a weak embedder. */
  readonly withVectors?: boolean;
  readonly vectorWeight?: number;
}

/** Each conversation is a project, and each turn a memory "speaker: text". */
export async function measureMemories(samples: readonly Sample[], options: TurnOptions = {}): Promise<Quality> {
  const { isBare = false, withSessions = false, withVectors = false, vectorWeight } = options;
  await using storage = await openStorage(":memory:");
  const asked: Asked[] = [];
  for (const [number, { turns, questions }] of samples.entries()) {
    const { memories } = storage.project(`conversation-${number}`);
    await memories.insertMany(
      turns.map((turn) => ({
        id: turn.id,
        content: toText(turn, isBare),
        ...(withSessions ? { sessionId: `session ${turn.session}` } : {}),
        ...(withVectors ? { embedding: turn.vector!, embeddingModel: MODEL } : {}),
      })),
    );
    const find: Find = async (text, embedding) => {
      const vectors = withVectors ? { embedding, embeddingModel: MODEL, vectorWeight } : {};
      return (await memories.search(text, { limit: LIMIT, ...vectors })).map(({ memory }) => memory.id);
    };
    asked.push(...toAsked(questions, find));
  }
  return await ask(asked);
}

/** Each turn is a message, all conversations are in one project; `isWithin` searches only the right one. */
export async function measureConversations(
  samples: readonly Sample[],
  { isBare = false, isWithin = false }: { readonly isBare?: boolean; readonly isWithin?: boolean } = {},
): Promise<Quality> {
  await using storage = await openStorage(":memory:");
  const { conversations } = storage;
  const asked: Asked[] = [];
  for (const { turns, questions } of samples) {
    const { id: conversationId } = await conversations.insert();
    const first = turns[0]!.speaker;
    await conversations.append(
      conversationId,
      turns.map((turn) => {
        const role = turn.speaker === first ? ("user" as const) : ("assistant" as const);
        return { id: turn.id, role, content: toText(turn, isBare) };
      }),
    );
    const find: Find = async (text) => {
      const found = await conversations.search(text, { limit: LIMIT, ...(isWithin ? { conversationId } : {}) });
      return found.map(({ message }) => message.id);
    };
    asked.push(...toAsked(questions, find));
  }
  return await ask(asked);
}

/** Each document is a memory; `withVectors` adds vectors of `hashedWords`. */
export async function measureDocuments(
  { documents, queries }: Cisi,
  { withVectors = false, vectorWeight }: Pick<TurnOptions, "withVectors" | "vectorWeight"> = {},
): Promise<Quality> {
  await using storage = await openStorage(":memory:");
  const { memories } = storage;
  const vectorOf = (text: string) => (withVectors ? { embedding: hashedWords(text), embeddingModel: MODEL } : {});
  await memories.insertMany(documents.map(({ id, text }) => ({ id, content: text, ...vectorOf(text) })));
  const find: Find = async (text) => {
    const found = await memories.search(text, { limit: LIMIT, ...vectorOf(text), vectorWeight });
    return found.map(({ memory }) => memory.id);
  };
  return await ask(queries.map(({ text, relevant }) => ({ text, relevant, find })));
}

/** A weak embedder: each word that is not a stop word adds 1 or -1 at three places, by its hash. */
function hashedWords(text: string): Float32Array {
  const vector = new Float32Array(HASHED_DIMENSIONS);
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
    if (isStopWord(word, false)) continue;
    const hash = createHash("sha1").update(word).digest();
    for (const at of [0, 4, 8]) vector[hash.readUInt16BE(at) % HASHED_DIMENSIONS]! += hash[at + 2]! % 2 === 0 ? 1 : -1;
  }
  return vector;
}

/** The documents in a plain FTS5 table; see `plainIndex`. */
export async function measurePlainDocuments({ documents, queries }: Cisi): Promise<Quality> {
  const find = await plainIndex(documents);
  return await ask(queries.map(({ text, relevant }) => ({ text, relevant, find })));
}

/** The turns in plain FTS5 tables, one for each conversation. */
export function measurePlainTurns(samples: readonly Sample[], options?: { readonly isBare?: boolean }) {
  return measureTurns(samples, plainIndex, options);
}

/** The turns in indexes that `makeIndex` makes, one for each conversation. */
export async function measureTurns(
  samples: readonly Sample[],
  makeIndex: (records: readonly { readonly id: string; readonly text: string }[]) => Promise<Find>,
  { isBare = false }: { readonly isBare?: boolean } = {},
): Promise<Quality> {
  const asked: Asked[] = [];
  for (const { turns, questions } of samples) {
    const find = await makeIndex(turns.map((turn) => ({ id: turn.id, text: toText(turn, isBare) })));
    asked.push(...toAsked(questions, find));
  }
  return await ask(asked);
}

/**
 * A search of an FTS5 table with the porter tokenizer, ordered by bm25(). The words of the text are OR-ed, stop words
 * are left out, and repeated words are repeated.
 */
async function plainIndex(records: readonly { readonly id: string; readonly text: string }[]): Promise<Find> {
  const client = createClient({ url: ":memory:" });
  await client.execute("CREATE VIRTUAL TABLE plain USING fts5(id UNINDEXED, text, tokenize = 'porter unicode61')");
  for (const { id, text } of records) {
    await client.execute({ sql: "INSERT INTO plain (id, text) VALUES (?, ?)", args: [id, text] });
  }
  return async (text) => {
    const words = text.match(/[\p{L}\p{N}]+/gu) ?? [];
    const telling = words.filter((word) => !isStopWord(word, false));
    const match = (telling.length > 0 ? telling : words).map((word) => `"${word}"`).join(" OR ");
    const sql = `SELECT id FROM plain WHERE plain MATCH ? ORDER BY bm25(plain) LIMIT ${LIMIT}`;
    return (await client.execute({ sql, args: [match] })).rows.map((row) => String(row[0]));
  };
}

function toText({ speaker, text }: Turn, isBare: boolean): string {
  return isBare ? text : `${speaker}: ${text}`;
}

function toAsked(questions: Sample["questions"], find: Find): Asked[] {
  return questions.map(({ text, evidence, vector }) => ({ text, relevant: evidence, vector, find }));
}

async function ask(asked: readonly Asked[]): Promise<Quality> {
  const sum = { recall: 0, mrr: 0, ndcg: 0 };
  const times: number[] = [];
  for (const { text, relevant, vector, find } of asked) {
    const start = performance.now();
    const found = await find(text, vector);
    times.push(performance.now() - start);
    const places = found.flatMap((id, i) => (relevant.has(id) ? [i + 1] : []));
    sum.recall += places.length / relevant.size;
    sum.mrr += places[0] === undefined ? 0 : 1 / places[0];
    const ideal = Array.from({ length: Math.min(LIMIT, relevant.size) }, (_, i) => i + 1);
    sum.ndcg += gain(places) / gain(ideal);
  }
  times.sort((a, b) => a - b);
  const mean = (total: number): number => total / asked.length;
  return {
    recall: mean(sum.recall),
    mrr: mean(sum.mrr),
    ndcg: mean(sum.ndcg),
    medianMs: times[Math.floor(times.length / 2)]!,
  };
}

function gain(places: readonly number[]): number {
  return places.reduce((sum, place) => sum + 1 / Math.log2(place + 1), 0);
}
