import { isObject } from "../../../shared/expectation.js";
import type { StoryData } from "../story.js";

/** The story in a text that another program may have written, or the reason why it is not a story. */
export function parseStory(text: string): StoryData | string {
  try {
    const data: unknown = JSON.parse(text);
    return isObject(data) ? data : "it holds JSON, but not an object";
  } catch (error) {
    return (error as Error).message;
  }
}
