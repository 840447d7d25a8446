import { getTableName } from "drizzle-orm";
import * as tables from "holdfast/schema";
import { expect, test } from "vitest";
import { AREAS } from "../../src/areas/registry.js";

/** Which area takes care of a table: exports it with its records, and removes it with them. */
const OWNERS: Record<string, string> = {
  memories: "memories",
  memory_embeddings: "memories",
  sessions: "sessions",
  conversations: "conversations",
  messages: "conversations",
  message_refs: "conversations",
  conversation_summaries: "conversations",
  // Made by triggers out of the tags of conversations and messages.
  conversation_tags: "conversations",
  stories: "stories",
  story_contents: "stories",
  story_revisions: "stories",
  story_tags: "stories",
  story_preferences: "stories",
  story_sync_queue: "stories",
  story_secrets: "stories",
  // What the search makes of them when it is asked.
  story_search: "stories",
  graph_nodes: "graph",
  graph_labels: "graph",
  graph_edges: "graph",
  // Numbers that triggers make; they mean nothing elsewhere.
  graph_versions: "graph",
};

test("every table has an area that exports, imports and prunes its rows", () => {
  const names = Object.values(tables).map((table) => getTableName(table));
  expect(Object.keys(OWNERS).sort()).toEqual(names.sort());
  expect(AREAS.map(({ name }) => name).sort()).toEqual([...new Set(Object.values(OWNERS))].sort());
});
