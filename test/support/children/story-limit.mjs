// Saves more than the file size limit allows (set by the shell that starts it), then continues within the limit.
import { openStories } from "holdfast/stories";

// Catch the signal, so that the write fails instead of the process.
process.on("SIGXFSZ", () => undefined);
const { path } = JSON.parse(process.argv[2]);
const service = await openStories({ backend: "filesystem", path });
await service.saveStory("kept", { n: 1 });
const outcomes = [];
for (const attempt of [
  () => service.saveStory("kept", { text: "x".repeat(1_000_000) }),
  () => service.saveStory("new", { text: "x".repeat(1_000_000) }),
  () => service.batchSave({ kept: { n: 2 }, other: { text: "x".repeat(1_000_000) } }, { atomic: true }),
]) {
  outcomes.push(
    await attempt().then(
      () => "saved",
      (error) => error.code,
    ),
  );
}
const { saved, errors } = await service.batchSave({ small: { n: 1 }, large: { text: "x".repeat(1_000_000) } });
const stories = Object.fromEntries(
  await Promise.all((await service.listStories()).map(async ({ id }) => [id, await service.loadStory(id)])),
);
await service.close();
process.stdout.write(`${JSON.stringify({ outcomes, saved, failed: Object.keys(errors), stories })}\n`);
