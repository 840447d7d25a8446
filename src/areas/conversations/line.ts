import { z } from "zod";
import { count, jsonObject, time } from "../line-parts.js";
import { ROLES } from "./record.js";

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
/** A record of an export; only an import loads this file. */
export const line = z.strictObject({
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

export type ConversationLine = z.infer<typeof line>;
export type MessageLine = z.infer<typeof messageSchema>;
