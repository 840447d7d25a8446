// Saves separate stories and a shared one, each with the text of the other side, until all are saved.
import { openStories } from "holdfast/stories";

const { backend, path, name, count } = JSON.parse(process.argv[2]);
const service = await openStories({ backend, path, historyLimit: Number.POSITIVE_INFINITY });
let conflicts = 0;
for (let n = 0; n < count; n++) {
  await service.saveStory(`${name}-${n}`, { name, n }, { metadata: { tags: [name] } });
  for (;;) {
    const { revision = 0 } = (await service.getMetadata("shared")) ?? {};
    const { lines = [] } = (await service.loadStory("shared")) ?? {};
    try {
      await service.saveStory("shared", { lines: [...lines, `${name}-${n}`] }, { expectedRevision: revision });
      break;
    } catch (error) {
      if (error.code !== "CONFLICT") throw error;
      conflicts++;
    }
  }
}
await service.close();
process.stdout.write(`${JSON.stringify({ conflicts })}\n`);
