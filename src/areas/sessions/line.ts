import { z } from "zod";
import { jsonObject, time } from "../line-parts.js";

/** A record of an export; only an import loads this file. */
export const line = z.strictObject({
  id: z.string(),
  startedAt: time,
  endedAt: time.nullable(),
  summary: z.string().nullable(),
  metadata: jsonObject,
});

export type SessionLine = z.infer<typeof line>;
