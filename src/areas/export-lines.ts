import { z } from "zod";
import { ROLES } from "./conversations/record.js";

// The records of an export, each as a line holds it. Only an import loads this file, since zod loads slowly (bench: startUp).

/** A time of an export: ISO 8601 with milliseconds, as `Date.toJSON` writes it. */
const time = z.iso.datetime({ offset: true }).or(z.string().regex(/^[+-]\d{6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/));

/** A JSON object as it is: `z.record` would drop a key named `__proto__`. */
const jsonObject = z.custom<Record<string, unknown>>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "expected an object",
);

const count = z.number().int().nonnegative();

export const sessionLine = z.strictObject({
  id: z.string(),
  startedAt: time,
  endedAt: time.nullable(),
  summary: z.string().nullable(),
  metadata: jsonObject,
});

export const memoryLine = z.strictObject({
  id: z.string(),
  sessionId: z.string().nullable(),
  type: z.string(),
  source: z.string(),
  content: z.string(),
  metadata: jsonObject,
  /** The one stored last comes last. */
  embeddings: z.array(
    z.strictObject({ model: z.string(), version: z.string().nullable(), vector: z.base64(), createdAt: time }),
  ),
  createdAt: time,
  updatedAt: time,
  deletedAt: time.nullable(),
});

const messageSchema = z.strictObject({
  id: z.string(),
  seq: count,
  role: z.enum(ROLES),
  content: z.string(),
  metadata: jsonObject,
  tags: z.array(z.string()).readonly(),
  clientId: z.string().nullable(),
  /** Of one with a client id, what it was first; without it, what it is. */
  sentHash: z.string().optional(),
  refs: z.array(
    z.strictObject({ kind: z.string(), target: z.string(), score: z.number().nullable(), createdAt: time }),
  ),
  createdAt: time,
  updatedAt: time,
});
export const conversationLine = z.strictObject({
  id: z.string(),
  title: z.string().nullable(),
  tags: z.array(z.string()).readonly(),
  metadata: jsonObject,
  /** Whose first messages it shows before its own, and how many. */
  parentId: z.string().nullable(),
  prefixSeq: count,
  forkedFromId: z.string().nullable(),
  forkedFromSeq: count.nullable(),
  visibleSeq: count,
  createdAt: time,
  updatedAt: time,
  deletedAt: time.nullable(),
  /** Of one that is there only because forks show its messages. */
  purgedAt: time.nullable(),
  messages: z.array(messageSchema),
  summaries: z.array(
    z.strictObject({ id: z.string(), date: z.string(), title: z.string(), text: z.string(), createdAt: time }),
  ),
});

const nodeSchema = z.strictObject({
  id: z.string(),
  kind: z.string(),
  name: z.string(),
  data: jsonObject,
  labels: z.array(z.string()).readonly(),
  createdAt: time,
  updatedAt: time,
});
const edgeSchema = z.strictObject({
  id: z.string(),
  from: z.string(),
  to: z.string(),
  type: z.string(),
  /** 0, and counting on for those that are parallel. */
  copy: z.number().int().nonnegative(),
  weight: z.number(),
  data: jsonObject,
});
export const graphLine = z.union([z.strictObject({ node: nodeSchema }), z.strictObject({ edge: edgeSchema })]);

const storySchema = z.strictObject({
  id: z.string(),
  title: z.string(),
  titleIsOwn: z.boolean(),
  tags: z.array(z.string()).readonly(),
  createdAt: time,
  updatedAt: time,
  deletedAt: time.nullable(),
  /** Oldest first; the last one is the story as it is. `data` is JSON text, null for that of the revision before. */
  revisions: z
    .array(z.strictObject({ revision: z.number().int().positive(), data: z.string().nullable(), createdAt: time }))
    .min(1),
});
const preferenceSchema = z.strictObject({ key: z.string(), value: z.string(), scope: z.string(), updatedAt: time });
const syncSchema = z.strictObject({
  id: z.string(),
  storyId: z.string(),
  action: z.string(),
  data: z.string(),
  timestamp: z.number().int(),
});
const secretSchema = z.strictObject({ name: z.string(), value: z.base64(), updatedAt: time });
export const storyLine = z.union([
  z.strictObject({ story: storySchema }),
  z.strictObject({ preference: preferenceSchema }),
  z.strictObject({ sync: syncSchema }),
  z.strictObject({ secret: secretSchema }),
]);

export type MemoryLine = z.infer<typeof memoryLine>;
export type ConversationLine = z.infer<typeof conversationLine>;
export type MessageLine = z.infer<typeof messageSchema>;
export type NodeLine = z.infer<typeof nodeSchema>;
export type EdgeLine = z.infer<typeof edgeSchema>;
export type StoryLine = z.infer<typeof storySchema>;
