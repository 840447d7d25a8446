import { z } from "zod";
import { jsonObject, time } from "../line-parts.js";

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
/** A record of an export; only an import loads this file. */
export const line = z.union([z.strictObject({ node: nodeSchema }), z.strictObject({ edge: edgeSchema })]);

export type GraphLine = z.infer<typeof line>;
export type NodeLine = z.infer<typeof nodeSchema>;
export type EdgeLine = z.infer<typeof edgeSchema>;
