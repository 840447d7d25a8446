import { z } from "zod";
import { jsonObject, time } from "../line-parts.js";

/** A record of an export; only an import loads this file. */
export const line = z.strictObject({
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

export type MemoryLine = z.infer<typeof line>;
