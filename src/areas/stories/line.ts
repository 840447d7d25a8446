import { z } from "zod";
import { time } from "../line-parts.js";

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
/** A record of an export; only an import loads this file. */
export const line = z.union([
  z.strictObject({ story: storySchema }),
  z.strictObject({ preference: preferenceSchema }),
  z.strictObject({ sync: syncSchema }),
  z.strictObject({ secret: secretSchema }),
]);

export type StoryAreaLine = z.infer<typeof line>;
export type StoryLine = z.infer<typeof storySchema>;
