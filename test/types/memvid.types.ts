// Checked by `npm run typecheck`: code as it is written for @memvid/sdk must compile, and what cannot work must not.
import sdk, {
  type AskResult,
  acquireLock,
  CapacityExceededError,
  create,
  createStorage,
  type FileLock,
  type FindHit,
  type FindResult,
  type Memvid,
  MemvidError,
  OpenAIEmbeddings,
  open,
  QuotaExceededError,
  type SQLiteStorage,
  type StorageInterface,
  type TimelineEntry,
  use,
} from "holdfast/memvid";

const mv: Memvid = await create("notes.mv2");
(await use("basic", "notes.mv2", { mode: "auto", enableLex: true })) satisfies Memvid;
(await open("notes.mv2", "basic", "mv2_key", { readOnly: true })) satisfies Memvid;
const frameId: string = await mv.put({
  title: "Meeting Notes",
  label: "meeting",
  text: "Discussed the new API design.",
  metadata: { date: "2024-01-15", priority: "high" },
  tags: ["api", "design"],
  timestamp: "Jan 15, 2023",
});
(await mv.putMany([{ title: "a", text: "b", embedding: [1, 2] }], { compressionLevel: 3 })) satisfies string[];
const results: FindResult = await mv.find("machine learning", {
  k: 10,
  mode: "lex",
  snippetChars: 240,
  scope: "mv2://",
});
results.hits.map((hit: FindHit) => `${hit.title}: ${hit.score.toFixed(3)}`) satisfies string[];
results.next_cursor satisfies string | null;
(await mv.vecSearch("q", [0.1, 0.2], { k: 3 })).hits satisfies FindHit[];
(await mv.timeline({ limit: 20 })) satisfies TimelineEntry[];
(await mv.stats()).frame_count satisfies number;
(await mv.view(Number(frameId))) satisfies string;
(await mv.remove(frameId)) satisfies number;
await mv.seal();
const answer: Promise<AskResult> = mv.ask("why?", { contextOnly: true, k: 3 });
(await answer).context satisfies string;
(await mv.correct("Bob leads now", { topics: ["team"], boost: 3 })) satisfies string;
(await mv.addMemoryCards([{ entity: "alice", slot: "employer", value: "Acme", kind: "Fact" }])).ids satisfies number[];
(await mv.state("alice")).slots.employer?.value satisfies string | undefined;
new Date(results.hits[0]!.created_at) satisfies Date;
const embedder = new OpenAIEmbeddings({ apiKey: "key" });
await mv.putMany([{ text: "x" }], { embedder });
(await sdk("basic", "notes.mv2")) satisfies Memvid;
(await sdk.create("notes.mv2")) satisfies Memvid;
answer.catch((error: unknown) => {
  if (error instanceof CapacityExceededError || error instanceof QuotaExceededError) return error.suggestion;
  return error instanceof MemvidError && error.code === "MV007" ? error.details?.owner : undefined;
});

const storage: SQLiteStorage = await createStorage({ path: "a.db", maxSize: 1e6, compression: true, strict: true });
storage satisfies StorageInterface;
const entry = (await storage.read("one"))!;
const vector: number[] | undefined = entry.vector;
await storage.write("one", { ...entry, vector: new Float32Array(vector ?? [1]) });
await createStorage({ path: "a.db", onFull: "evict", busyTimeoutMs: 100, maxContentChars: 10 });
const lock: FileLock | null = await acquireLock("a.db", 100);
((await lock?.withLock(async () => 1)) ?? null) satisfies number | null;

// @ts-expect-error: a mode that does not exist
await mv.find("x", { mode: "fuzzy" });
// @ts-expect-error: a timestamp is seconds or text
await mv.put({ text: "x", timestamp: new Date() });
// @ts-expect-error: a path is needed
await createStorage({});
// @ts-expect-error: an entry has its content
await storage.write("one", { id: "one", type: "tool", metadata: {}, createdAt: new Date() });
