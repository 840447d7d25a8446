import { join } from "node:path";
import { openStories, type StoryService } from "../../src/areas/stories/index.js";
import { openHoldfast } from "../databases.js";
import { meanMicros, millis, type Trial, type TrialContext } from "../trial.js";

const STORY = {
  title: "The Lighthouse",
  passages: Array.from({ length: 50 }, (_, n) => ({ id: `p${n}`, content: "You wake up in a room. ".repeat(8) })),
};
const TEXT = JSON.stringify(STORY);
const KILOBYTES = Math.round(TEXT.length / 1000);
const STORED = 1_000;

/** Measures the same work on both backends. */
function onBoth(
  title: string,
  unit: string,
  work: (service: StoryService) => Promise<number>,
  more: Trial["contenders"] = {},
): Trial {
  const contender = (backend: "libsql" | "filesystem") => async (context: TrialContext) => {
    const service = await openStories({ backend, path: join(context.folder, "stories") });
    try {
      return await work(service);
    } finally {
      await service.close();
    }
  };
  return { title, unit, contenders: { libsql: contender("libsql"), filesystem: contender("filesystem"), ...more } };
}

function many(count: number) {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`story-${n}`, { ...STORY, n }]));
}

export const storySave = onBoth(
  `saving a story of ${KILOBYTES} kB again, durably, one after the other`,
  "µs",
  (service) => meanMicros((n) => service.saveStory("a", { ...STORY, n }), { count: 300 }),
);

const copy = { "the copy alone": () => meanMicros(() => JSON.parse(TEXT), { count: 20_000 }) };

export const storyCacheHit = onBoth(
  `loading a story of ${KILOBYTES} kB from the cache: the check for other processes' writes, and the copy`,
  "µs",
  async (service) => {
    await service.saveStory("a", STORY);
    return meanMicros(() => service.loadStory("a"), { count: 20_000 });
  },
  copy,
);

export const storyCacheCheck = onBoth(
  "a cache hit of a story that costs nothing to copy",
  "µs",
  async (service) => {
    await service.saveStory("a", {});
    return meanMicros(() => service.loadStory("a"), { count: 20_000 });
  },
  {
    "one execute": async ({ folder }) => {
      const client = await openHoldfast(folder, 100);
      const query = { sql: "select id, amount from items where key = ?", args: ["key-50"] };
      return meanMicros(() => client.execute(query), { count: 20_000 });
    },
  },
);

export const storyCacheMiss = onBoth(
  `loading a story of ${KILOBYTES} kB from the backend, checksum included`,
  "µs",
  async (service) => {
    await service.saveStory("a", STORY);
    return meanMicros(() => service.loadStory("a", { skipCache: true }), { count: 5_000 });
  },
  copy,
);

export const storyList = onBoth(`a page of 50 of ${STORED} stories`, "µs", async (service) => {
  await service.batchSave(many(STORED));
  return meanMicros(() => service.listStories({ limit: 50 }), { count: 1_000 });
});

export const storyBatch = onBoth(`a batch of 1,000 stories of ${KILOBYTES} kB, atomic`, "ms", (service) =>
  millis(() => service.batchSave(many(1_000), { atomic: true })),
);
