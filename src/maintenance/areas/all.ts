import { expectOneOf } from "../../options.js";
import type { Area } from "./area.js";
import { conversationArea } from "./conversations.js";
import { graphArea } from "./graph.js";
import { memoryArea } from "./memories.js";
import { sessionArea } from "./sessions.js";
import { storyArea } from "./stories.js";

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
