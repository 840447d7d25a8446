export { memories, memoryEmbeddings } from "./memories.js";
export { sessions } from "./sessions.js";
