import * as memvid from "holdfast/memvid";
import sdk, { create, createStorage, getConfig, info, maskPii, OpenAIEmbeddings, resolveMemory } from "holdfast/memvid";
import { describe, expect, test } from "vitest";
import { tempDatabase } from "../support/temp.js";

/** What `Object.keys` of the module of @memvid/sdk 2.0.159 gives. */
const NAMES =
  `ApiKeyRequiredError CapacityExceededError ClaudeEntities CohereEmbeddings CorruptFileError DocTRSubprocess
  EasyOCRSubprocess EmbeddingFailedError EncryptionError EnsembleOCR FileNotFoundError FrameNotFoundError GeminiClip
  GeminiEmbeddings GeminiEntities ImageIngestor LOCAL_EMBEDDING_MODELS LexIndexDisabledError LocalClip LocalNER LockedError
  MODEL_DIMENSIONS MemoryAlreadyBoundError MemvidError MistralEmbeddings NvidiaEmbeddings OllamaEmbeddings OpenAIClip
  OpenAIEmbeddings OpenAIEntities PaddleOCR QuotaExceededError TesseractOCR TicketInvalidError TicketReplayError
  TimeIndexMissingError VecDimensionMismatchError VecIndexDisabledError VerificationFailedError VoyageEmbeddings
  aclContextFromScope aclMetadataFromScope clip configure create createMemory createProject default doctorMemvid entities
  flushAnalytics getAclScopeFromApiKey getClipProvider getConfig getEmbedder getEntityExtractor getErrorSuggestion
  getOCRProvider imageIngest info ingestDirectory ingestImages isTelemetryEnabled listMemories listProjects lock lockNudge
  lockWho maskPii ocr open resetConfig resolveMemory unlock use validateConfig verifyMemvid verifySingleFile`.split(
    /\s+/,
  );

const FUNCTIONS_OF_PROMISES = [
  "createMemory",
  "createProject",
  "getAclScopeFromApiKey",
  "ingestDirectory",
  "ingestImages",
  "listMemories",
  "listProjects",
  "lock",
  "unlock",
  "validateConfig",
];
const FUNCTIONS = [
  "aclContextFromScope",
  "aclMetadataFromScope",
  "configure",
  "getClipProvider",
  "getEmbedder",
  "getEntityExtractor",
  "getOCRProvider",
];
const CLASSES = NAMES.filter(
  (name) => /Embeddings$|OCR|Clip$|Entities$|NER$|Subprocess$|Ingestor$/.test(name) && !/^get|^LOCAL/.test(name),
);

describe("the module", () => {
  const exported = memvid as unknown as Record<string, never>;

  test("has all names of the SDK's, and so has its default export", async () => {
    expect(NAMES).toHaveLength(78);
    expect(NAMES.filter((name) => exported[name] === undefined)).toEqual([]);
    const names = NAMES.filter((name) => name !== "default");
    expect(names.filter((name) => (sdk as unknown as Record<string, unknown>)[name] !== exported[name])).toEqual([]);
    await using db = await tempDatabase("notes.mv2");
    const mv = await sdk("basic", db.path, { mode: "create" });
    await mv.close();
    expect(await sdk.verify(db.path)).toMatchObject({ overall_status: "passed" });
  });

  test("says NOT_SUPPORTED of the rest when that is called, not before", async () => {
    expect(CLASSES).toHaveLength(20);
    for (const name of CLASSES) {
      const Class = exported[name] as unknown as new (options?: object) => unknown;
      expect(Class.name).toBe(name);
      expect(() => new Class({ apiKey: "key" }), name).toThrow(memvid.NotSupportedError);
    }
    for (const name of FUNCTIONS) {
      expect(exported[name] as unknown as () => void, name).toThrow(memvid.NotSupportedError);
    }
    for (const name of FUNCTIONS_OF_PROMISES) {
      const call = exported[name] as unknown as (options: object) => Promise<unknown>;
      await expect(call({}), name).rejects.toMatchObject({
        code: "NOT_SUPPORTED",
        message: expect.stringContaining(name),
      });
    }
    expect(() => new OpenAIEmbeddings()).toThrow("new OpenAIEmbeddings() is not supported");
    expect(() => memvid.clip.getClipProvider()).toThrow(memvid.NotSupportedError);
    expect(() => new memvid.ocr.TesseractOCR()).toThrow(memvid.NotSupportedError);
    expect(memvid.entities.DEFAULT_ENTITY_TYPES).toContain("PERSON");
    expect(() => new memvid.imageIngest.ImageIngestor()).toThrow(memvid.NotSupportedError);
  });

  test("has what needs neither cloud nor model", async () => {
    expect(maskPii("Ask john@example.com, 555-123-4567 or +1 555 123 4567")).toBe("Ask [EMAIL], [PHONE] or [PHONE]");
    expect(maskPii("4111 1111 1111 1111, 123-45-6789 at 10.0.0.1 by sk-abcdefghijklmnopqrst")).toBe(
      "[CREDIT_CARD], [SSN] at [IP_ADDRESS] by [API_KEY]",
    );
    expect(maskPii("version 1.2.3 of 2024-01-15, room 1234")).toBe("version 1.2.3 of 2024-01-15, room 1234");
    expect(info()).toMatchObject({ sdk_version: "2.0.159", platform: process.platform });
    expect([getConfig(), resolveMemory("work"), memvid.isTelemetryEnabled()]).toEqual([{}, "work", false]);
    await memvid.flushAnalytics();
    memvid.resetConfig();
    expect(memvid.MODEL_DIMENSIONS["text-embedding-3-small"]).toBe(1536);
    await using db = await tempDatabase("notes.mv2");
    await expect(memvid.verifySingleFile(db.path)).rejects.toMatchObject({ code: "MV013" });
    await (await create(db.path)).close();
    expect(await memvid.verifySingleFile(db.path)).toBeUndefined();
  });

  test("has errors whose classes have their names", async () => {
    await using db = await tempDatabase("notes.mv2");
    const error: unknown = await memvid.open(db.path).catch((thrown: unknown) => thrown);
    expect((error as Error).constructor.name).toBe("FileNotFoundError");
    const classes = NAMES.filter((name) => /^[A-Z].*Error$/.test(name) && name !== "MemvidError");
    for (const name of classes) {
      const Class = exported[name] as unknown as new (message: string) => Error;
      expect([Class.name, new Class("x").name, new Class("x") instanceof memvid.MemvidError]).toEqual([
        name,
        name,
        true,
      ]);
    }
  });
});

async function tempMemvid() {
  const db = await tempDatabase("notes.mv2");
  const mv = await create(db.path);
  return {
    mv,
    path: db.path,
    async [Symbol.asyncDispose]() {
      await mv.close();
      await db[Symbol.asyncDispose]();
    },
  };
}

test("ask gives the context of an answer with contextOnly, and is not supported without", async () => {
  await using at = await tempMemvid();
  const { mv } = at;
  for (let i = 0; i < 10; i++)
    await mv.put({ text: `Apollo note ${i}, led by Alice`, timestamp: 1000 + i, uri: `mv2://n/${i}` });
  const answer = await mv.ask("Who leads Apollo?", { contextOnly: true });
  expect(answer).toMatchObject({ question: "Who leads Apollo?", answer: null, context_only: true, sources: [] });
  expect(answer.hits).toHaveLength(6);
  expect(answer.context_fragments).toEqual(answer.hits.map(({ snippet }) => snippet));
  expect(answer.context).toContain("led by Alice");
  expect(answer.usage).toEqual({ retrieved: 6 });
  const some = await mv.ask("apollo", {
    contextOnly: true,
    since: 1002,
    until: 1004,
    k: 10,
    mode: "lex",
    scope: "mv2://n",
  });
  expect(some.hits.map(({ frame_id }) => frame_id).sort()).toEqual([2, 3, 4]);
  await expect(mv.ask("Who leads Apollo?")).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
  await expect(mv.ask("x", { contextOnly: true, top: 1 } as object)).rejects.toMatchObject({ code: "MV999" });
});

test("corrections rank before what they correct, by their boost", async () => {
  await using at = await tempMemvid();
  const { mv } = at;
  await mv.put({ text: "Alice leads the Apollo team. The Apollo team is led by Alice." });
  await mv.put({ text: "The Apollo team has seven members" });
  const id = await mv.correct("Bob leads the Apollo team now", { topics: ["lead"], source: "minutes" });
  expect(id).toBe("2");
  expect((await mv.find("who leads the apollo team")).hits[0]).toMatchObject({
    frame_id: 2,
    title: "Correction: Bob leads the Apollo team now",
    labels: ["correction"],
    tags: ["lead"],
  });
  expect(await mv.correctMany([{ statement: "Zoe leads the Apollo team", boost: 0 }])).toEqual(["3"]);
  expect((await mv.find("who leads the apollo team")).hits.at(-1)!.frame_id).toBe(3);
  expect((await mv.getFrameInfo(2)).metadata).toEqual({ source: "minutes" });
  await expect(mv.correct("x", { boost: -1 })).rejects.toMatchObject({ code: "MV999" });
  await expect(mv.correctMany([{ statement: "a" }, { statement: "" }])).rejects.toMatchObject({
    message: expect.stringContaining("at least 1 character,"),
  });
  expect((await mv.stats()).frame_count).toBe(4);
});

test("memory cards are found by entity and slot, and the last one counts", async () => {
  await using at = await tempMemvid();
  const { mv } = at;
  expect(await mv.addMemoryCards([])).toEqual({ added: 0, ids: [] });
  const cards = [
    { entity: "Alice", slot: "employer", value: "Acme", kind: "Fact", polarity: "Positive" },
    { entity: "alice", slot: "employer", value: 'Beta "B", Corp' },
    { entity: "bob", slot: "likes", value: "tea", kind: "Preference" },
  ] as const;
  expect(await mv.addMemoryCards(cards)).toEqual({ added: 3, ids: [0, 1, 2] });
  await expect(mv.addMemoryCards([cards[0], { entity: "x", slot: "y" } as never])).rejects.toMatchObject({
    code: "MV999",
  });
  const { cards: found, count } = await mv.memories("ALICE", "employer");
  expect(count).toBe(2);
  expect(found.map(({ id, kind, polarity }) => [id, kind, polarity])).toEqual([
    [1, "fact", "neutral"],
    [0, "fact", "positive"],
  ]);
  expect((await mv.memories()).count).toBe(3);
  expect(await mv.memoryEntities()).toEqual(["alice", "bob"]);
  expect(await mv.state("Alice")).toMatchObject({
    entity: "alice",
    found: true,
    slots: { employer: { value: 'Beta "B", Corp', engine: "sdk" } },
  });
  expect(await mv.state("nobody")).toEqual({ entity: "nobody", found: false, slots: {} });
  expect(await mv.memoriesStats()).toEqual({
    entityCount: 2,
    cardCount: 3,
    slotCount: 2,
    cardsByKind: { fact: 2, preference: 1 },
    enrichedFrames: 0,
    lastEnrichment: null,
  });
  expect(JSON.parse(await mv.exportFacts())[0]).toEqual({ subject: "bob", predicate: "likes", object: "tea" });
  expect(await mv.exportFacts("csv", "alice")).toBe(
    'subject,predicate,object\nalice,employer,"Beta ""B"", Corp"\nAlice,employer,Acme\n',
  );
  expect(await mv.exportFacts("ntriples", "bob")).toBe('<mv2://entity/bob> <mv2://entity/pred/likes> "tea" .\n');
  await expect(mv.exportFacts("turtle")).rejects.toMatchObject({ code: "MV999" });
  await mv.seal();
  expect((await mv.addMemoryCards([cards[2]])).ids).toEqual([3]);
  expect((await mv.stats()).frame_count).toBe(0);
});

test("names of slots and entities that differ in case are one", async () => {
  await using at = await tempMemvid();
  const { mv } = at;
  const card = (entity: string, slot: string, value: string) => ({ kind: "Fact", entity, slot, value }) as const;
  await mv.addMemoryCards([card("Bob", "Likes", "tea"), card("bob", "home", "Ulm"), card("BOB", "likes", "milk")]);
  const { slots } = await mv.state("bob");
  expect(Object.entries(slots).map(([slot, { value }]) => [slot, value])).toEqual([
    ["likes", "milk"],
    ["home", "Ulm"],
  ]);
  expect(await mv.memoriesStats()).toMatchObject({ entityCount: 1, slotCount: 2, cardCount: 3 });
});

test("a session counts what is done while it is active", async () => {
  await using at = await tempMemvid();
  const { mv } = at;
  expect(await mv.sessionCheckpoint()).toBeNull();
  await expect(mv.sessionEnd()).rejects.toMatchObject({ code: "MV999" });
  const id = await mv.sessionStart("work");
  await expect(mv.sessionStart()).rejects.toMatchObject({ code: "MV999" });
  await mv.put({ text: "whale" });
  await mv.find("whale");
  expect(await mv.sessionCheckpoint()).toBe("0");
  const ended = await mv.sessionEnd();
  expect(ended).toMatchObject({ session_id: id, name: "work", action_count: 2, checkpoint_count: 1 });
  expect(ended.ended_secs).toBeGreaterThanOrEqual(ended.created_secs);
  const unnamed = await mv.sessionStart();
  expect(await mv.sessionList()).toMatchObject([ended, { session_id: unnamed, action_count: 0, duration_secs: 0 }]);
});

test("the vector of an entry is an array of float32 values", async () => {
  await using db = await tempDatabase();
  await using storage = await createStorage({ path: db.path, strict: true });
  const createdAt = new Date(5);
  await storage.write("a", {
    id: "a",
    type: "tool",
    content: "x",
    metadata: {},
    vector: new Float32Array([0.1]),
    createdAt,
  });
  const vector: number[] | undefined = (await storage.read("a"))!.vector;
  expect(vector).toEqual([Math.fround(0.1)]);
});
