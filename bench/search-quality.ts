/**
 * Measures how well keyword search finds the turns that answer a question: `npm run bench:search -- --data
 * DIR-or-file`.
 *
 * `--as conversations` appends the turns to one conversation per sample, all in one project, and searches all of them
 * (or, with `--within`, only that conversation). `--bare` leaves out the speakers' names.
 *
 * Reads LoCoMo (Maharana et al. 2024). Each conversation becomes a project, and each turn a memory "speaker: text". A
 * question's `evidence` names the turns that answer it. Evidence ids without a turn are skipped, and so are questions
 * without evidence. The unanswerable questions (category 5, whose evidence misleads on purpose) are counted separately.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openStorage } from "../src/storage/storage.js";
import { LOCOMO, readLocomo, type Turn, turnsOf } from "./locomo.js";

const LIMIT = 10;
const UNANSWERABLE = 5;

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

/** Returns the ids of turns for a question about a conversation. */
type Finder = (question: string) => Promise<string[]>;

const { values } = parseArgs({
  options: {
    data: { type: "string" },
    as: { type: "string", default: "memories" },
    within: { type: "boolean", default: false },
    bare: { type: "boolean", default: false },
  },
});
if (values.data === undefined) throw new TypeError("Expected `--data` to name locomo-dev.json or its folder");
const file = statSync(values.data).isDirectory() ? join(values.data, LOCOMO) : values.data;
const samples = readLocomo(file);

await using storage = await openStorage(":memory:");
const answerable = new Tally();
const unanswerable = new Tally();
const times: number[] = [];
const store = values.as === "conversations" ? storeAsConversation : storeAsMemories;
const finders: Finder[] = [];
for (const [number, sample] of samples.entries()) finders.push(await store(number, turnsOf(sample)));
for (const [number, sample] of samples.entries()) {
  const known = new Set(turnsOf(sample).map((turn) => idOf(number, turn)));
  for (const { question, evidence = [], category } of sample.qa) {
    const wanted = new Set(evidence.map((id) => `${number}/${id}`).filter((id) => known.has(id)));
    if (wanted.size === 0) continue;
    const start = performance.now();
    const found = await finders[number]!(question);
    times.push(performance.now() - start);
    (category === UNANSWERABLE ? unanswerable : answerable).add(found, wanted);
  }
}
times.sort((a, b) => a - b);
console.log(`answerable  ${answerable}`);
console.log(`category ${UNANSWERABLE}  ${unanswerable}`);
console.log(`median      ${times[Math.floor(times.length / 2)]!.toFixed(2)} ms a search`);

async function storeAsMemories(number: number, stored: readonly Turn[]): Promise<Finder> {
  const { memories } = storage.project(`conversation-${number}`);
  await memories.insertMany(stored.map((turn) => ({ id: idOf(number, turn), content: textOf(turn) })));
  return async (question) => (await memories.search(question, { limit: LIMIT })).map(({ memory }) => memory.id);
}

async function storeAsConversation(number: number, stored: readonly Turn[]): Promise<Finder> {
  const { conversations } = storage;
  const { id } = await conversations.insert();
  const first = stored[0]!.speaker;
  await conversations.append(
    id,
    stored.map((turn) => ({
      id: idOf(number, turn),
      role: turn.speaker === first ? ("user" as const) : ("assistant" as const),
      content: textOf(turn),
    })),
  );
  const scope = values.within ? { conversationId: id } : {};
  return async (question) =>
    (await conversations.search(question, { ...scope, limit: LIMIT })).map(({ message }) => message.id);
}

function idOf(number: number, { dia_id }: Turn): string {
  return `${number}/${dia_id}`;
}

function textOf({ speaker, text }: Turn): string {
  return values.bare ? text : `${speaker}: ${text}`;
}
