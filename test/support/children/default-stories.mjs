// Stores a story in files at the default place.
import { openStories } from "holdfast/stories";

const service = await openStories({ backend: "filesystem" });
await service.saveStory("a", { n: 1 });
await service.close();
process.stdout.write(`${JSON.stringify({ done: true })}\n`);
