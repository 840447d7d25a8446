import { expectOneOf } from "../shared/expectation.js";
import type { Area, Reader } from "./area.js";
import { conversationArea } from "./conversations/area.js";
import { graphArea } from "./graph/area.js";
import { memoryArea } from "./memories/area.js";
import { sessionArea } from "./sessions/area.js";
import { storyArea } from "./stories/area.js";
import { tablesIn } from "./tables.js";

/** In the order in which their records can be stored: what refers to others comes after them. */
export const AREAS: readonly Area[] = [sessionArea, memoryArea, conversationArea, graphArea, storyArea];

/** All areas, or the one of this name; throws TypeError on any other. */
export function selectAreas(name: string | undefined): readonly Area[] {
  if (name === undefined) return AREAS;
  expectOneOf(
    "area",
    name,
    AREAS.map((area) => area.name),
  );
  return AREAS.filter((area) => area.name === name);
}

/** Those whose records the database can hold: one of an earlier version lacks some. */
export async function areasIn(reader: Reader, areas: readonly Area[]): Promise<readonly Area[]> {
  const tables = await tablesIn(reader);
  return areas.filter(({ mainTable }) => tables.has(mainTable));
}
