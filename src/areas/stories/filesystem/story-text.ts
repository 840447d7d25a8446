import type { StoryData } from "../story.js";

/** The story of a text that another program may have written; the reason where it holds none. */
export function parseStory(text: string): StoryData | string {
  try {
    const data: unknown = JSON.parse(text);
    if (typeof data === "object" && data !== null && !Array.isArray(data)) return data as StoryData;
    return "it holds JSON, but no object";
  } catch (error) {
    return (error as Error).message;
  }
}
