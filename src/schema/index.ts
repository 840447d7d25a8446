export { conversationSummaries, conversations, conversationTags, messageRefs, messages } from "./conversations.js";
export { graphEdges, graphLabels, graphNodes, graphVersions } from "./graph.js";
export { memories, memoryEmbeddings, vectorVersions } from "./memories.js";
export { sessions } from "./sessions.js";
export {
  stories,
  storyContents,
  storyPreferences,
  storyRevisions,
  storySearch,
  storySecrets,
  storySyncQueue,
  storyTags,
} from "./stories.js";
