import type { GraphNode } from "../areas/graph/node.js";
import { describeValue, expectation, expectOneOf, expectText } from "../shared/expectation.js";
import { expectKeys } from "../shared/known-keys.js";
import type { Storage } from "../storage/storage.js";
import { MemvidError, NotSupportedError } from "./memvid-error.js";
import type {
  AddMemoryCardsResult,
  EntityState,
  MemoriesResult,
  MemoriesStats,
  MemoryCard,
  MemoryCardInput,
} from "./memvid-types.js";

/** The kind of the graph nodes that hold memory cards. */
const CARD_KIND = "memvid_card";
const CARD_KEYS = ["kind", "entity", "slot", "value", "polarity", "sourceFrameId", "engine", "engineVersion"];
const KINDS = ["fact", "preference", "event", "profile", "relationship", "other"];
const POLARITIES = ["positive", "negative", "neutral"];

/** Stores all cards or none; they are numbered from 0. */
export async function addCards(storage: Storage, inputs: readonly MemoryCardInput[]): Promise<AddMemoryCardsResult> {
  if (!Array.isArray(inputs)) throw new TypeError(expectation("cards", "an array of memory cards", inputs));
  const drafts = inputs.map(toCard);
  if (drafts.length === 0) return { added: 0, ids: [] };
  return storage.transaction(async (tx) => {
    const known = await readCards(tx.graph);
    const first = known.reduce((next, { id }) => Math.max(next, id + 1), 0);
    const ids = drafts.map((_, index) => first + index);
    await tx.graph.addNodes(
      drafts.map((data, index) => ({ kind: CARD_KIND, name: data.entity, data: { id: ids[index]!, ...data } })),
    );
    return { added: drafts.length, ids };
  });
}

/** The cards of an entity and a slot, ignoring case, newest first; all cards if neither is named. */
export async function findCards({ graph }: Storage, entity?: string, slot?: string): Promise<MemoriesResult> {
  for (const [name, value] of Object.entries({ entity, slot })) {
    // JavaScript callers also pass null for "all".
    if (value !== undefined && value !== null && typeof value !== "string") {
      throw new TypeError(expectation(name, "a string", value));
    }
  }
  const isLike = (value: string, wanted: string | undefined) =>
    wanted === undefined || wanted === null || value.toLowerCase() === wanted.toLowerCase();
  const all = await readCards(graph);
  const cards = all.filter((card) => isLike(card.entity, entity) && isLike(card.slot, slot)).reverse();
  return { cards, count: cards.length };
}

export async function cardStats({ graph }: Storage): Promise<MemoriesStats> {
  const cards = await readCards(graph);
  const cardsByKind: Record<string, number> = {};
  for (const { kind } of cards) cardsByKind[kind] = (cardsByKind[kind] ?? 0) + 1;
  return {
    entityCount: entitiesOf(cards).length,
    cardCount: cards.length,
    slotCount: new Set(cards.map(({ entity, slot }) => JSON.stringify([entity.toLowerCase(), slot.toLowerCase()])))
      .size,
    cardsByKind,
    enrichedFrames: 0,
    lastEnrichment: null,
  };
}

/** The entities that have cards, in lower case, sorted by name. */
export async function cardEntities({ graph }: Storage): Promise<string[]> {
  return entitiesOf(await readCards(graph));
}

/** The newest card of each slot of an entity, under the name of the slot in that card; names that differ in case are one. */
export async function entityState(storage: Storage, entity: string, slot?: string): Promise<EntityState> {
  expectText("entity", entity, Number.POSITIVE_INFINITY);
  const { cards } = await findCards(storage, entity, slot);
  const newest = new Map(cards.reverse().map((card) => [card.slot.toLowerCase(), card]));
  const slots: EntityState["slots"] = {};
  for (const card of newest.values()) {
    const { value, kind, polarity, sourceFrameId, documentDate, engine } = card;
    slots[card.slot] = { value, kind, polarity, sourceFrameId, documentDate, engine };
  }
  return { entity: entity.toLowerCase(), found: cards.length > 0, slots };
}

/** The cards as text: JSON, CSV or N-Triples. */
export async function exportCards(
  storage: Storage,
  format = "json",
  entity?: string,
  withProvenance = false,
): Promise<string> {
  if (withProvenance) throw new NotSupportedError("exportFacts() with provenance");
  const { cards } = await findCards(storage, entity);
  if (format === "json") {
    const facts = cards.map(({ entity: subject, slot: predicate, value: object }) => ({ object, predicate, subject }));
    return JSON.stringify(facts, null, 2);
  }
  if (format === "csv") {
    const lines = cards.map((card) => [card.entity, card.slot, card.value].map(toCsv).join(","));
    return ["subject,predicate,object", ...lines, ""].join("\n");
  }
  if (format === "ntriples") {
    const uri = (text: string) => encodeURIComponent(text);
    return cards
      .map(
        (card) =>
          `<mv2://entity/${uri(card.entity)}> <mv2://entity/pred/${uri(card.slot)}> ${JSON.stringify(card.value)} .\n`,
      )
      .join("");
  }
  throw new MemvidError("MV999", `Unknown export format ${describeValue(format)}. Use: json, csv, ntriples`);
}

type CardData = Omit<MemoryCard, "id">;

function toCard(input: MemoryCardInput): CardData {
  expectKeys("a memory card", input, CARD_KEYS);
  const { entity, slot, value, sourceFrameId = 0, engine = "sdk", engineVersion = "1.0.0" } = input;
  for (const [name, text] of Object.entries({ entity, slot, value })) expectText(name, text, 10_000);
  const kind = (input.kind ?? "Fact").toLowerCase();
  const polarity = (input.polarity ?? "Neutral").toLowerCase();
  expectOneOf("kind", kind, KINDS);
  expectOneOf("polarity", polarity, POLARITIES);
  const unknown = { confidence: null, sourceUri: null, documentDate: null, eventDate: null };
  return { kind, entity, slot, value, polarity, sourceFrameId, engine, engineVersion, ...unknown };
}

/** All cards, the oldest first. */
async function readCards(graph: Storage["graph"]): Promise<MemoryCard[]> {
  const { items } = await graph.findNodes({ kind: CARD_KIND, limit: Number.POSITIVE_INFINITY });
  return items.map(({ data }: GraphNode) => data as unknown as MemoryCard).sort((a, b) => a.id - b.id);
}

function entitiesOf(cards: readonly MemoryCard[]): string[] {
  return [...new Set(cards.map(({ entity }) => entity.toLowerCase()))].sort();
}

function toCsv(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
