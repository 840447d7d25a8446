/**
 * How well keyword search finds the turns that answer a question: `npm run bench:search -- --data DIR-or-file`.
 *
 * Reads LoCoMo (Maharana et al. 2024): each conversation is a project, each turn one memory "speaker: text", and a question's
 * `evidence` names the turns that answer it. Evidence ids that no turn has are skipped, and so are questions left without any;
 * the unanswerable ones (category 5, whose evidence misleads on purpose) are counted apart.
 */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openStorage } from "../src/storage.js";

const LIMIT = 10;
const UNANSWERABLE = 5;

interface Turn {
  readonly speaker: string;
  readonly dia_id: string;
  readonly text: string;
}

interface Conversation {
  readonly conversation: Readonly<Record<string, unknown>>;
  readonly qa: readonly { question: string; evidence?: readonly string[]; category: number }[];
}

class Tally {
  #questions = 0;
  #recall = 0;
  #hits = 0;
  #reciprocalRanks = 0;

  add(found: readonly string[], evidence: ReadonlySet<string>): void {
    const places = found.flatMap((id, i) => (evidence.has(id) ? [i + 1] : []));
    this.#questions++;
    this.#recall += places.length / evidence.size;
    if (places[0] === undefined) return;
    this.#hits++;
    this.#reciprocalRanks += 1 / places[0];
  }

  toString(): string {
    const share = (sum: number): string => (sum / this.#questions).toFixed(3);
    const figures = `recall@${LIMIT} ${share(this.#recall)}, hit@${LIMIT} ${share(this.#hits)}`;
    return `${this.#questions} questions: ${figures}, MRR@${LIMIT} ${share(this.#reciprocalRanks)}`;
  }
}

const { values } = parseArgs({ options: { data: { type: "string" } } });
if (values.data === undefined) throw new TypeError("Expected `--data` to name locomo-dev.json or its folder");
const file = statSync(values.data).isDirectory() ? join(values.data, "locomo-dev.json") : values.data;
const conversations = JSON.parse(readFileSync(file, "utf8")) as Conversation[];

await using storage = await openStorage(":memory:");
const answerable = new Tally();
const unanswerable = new Tally();
const times: number[] = [];
for (const [number, { conversation, qa }] of conversations.entries()) {
  const { memories } = storage.project(`conversation-${number}`);
  const stored = turns(conversation).map(({ speaker, dia_id, text }) => ({
    id: dia_id,
    content: `${speaker}: ${text}`,
  }));
  await memories.insertMany(stored);
  const known = new Set(stored.map(({ id }) => id));
  for (const { question, evidence = [], category } of qa) {
    const wanted = new Set(evidence.filter((id) => known.has(id)));
    if (wanted.size === 0) continue;
    const start = performance.now();
    const results = await memories.search(question, { limit: LIMIT });
    times.push(performance.now() - start);
    const found = results.map(({ memory }) => memory.id);
    (category === UNANSWERABLE ? unanswerable : answerable).add(found, wanted);
  }
}
times.sort((a, b) => a - b);
console.log(`answerable  ${answerable}`);
console.log(`category ${UNANSWERABLE}  ${unanswerable}`);
console.log(`median      ${times[Math.floor(times.length / 2)]!.toFixed(2)} ms a search`);

function turns(conversation: Conversation["conversation"]): Turn[] {
  const sessions = Object.keys(conversation).flatMap((key) => /^session_(\d+)$/.exec(key)?.[1] ?? []);
  const inOrder = sessions.map(Number).sort((a, b) => a - b);
  return inOrder.flatMap((session) => (conversation[`session_${session}`] ?? []) as Turn[]);
}
