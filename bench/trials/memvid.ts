import { createRequire } from "node:module";
import { join } from "node:path";
import { create } from "../../src/memvid/index.js";
import { millis, type Trial, type TrialContext } from "../trial.js";

interface PutsFrames {
  put(input: { title: string; label: string; text: string }): Promise<string>;
}

const frame = (i: number) => ({
  title: `Note ${i}`,
  label: "note",
  text: `Note ${i}: the migration of the kubernetes cluster went well, but the pool was never closed.`,
});

async function awaitedPuts(memory: PutsFrames): Promise<number> {
  return millis(async () => {
    for (let i = 0; i < 1000; i++) await memory.put(frame(i));
  });
}

const own = ({ folder }: TrialContext) => create(join(folder, "notes.mv2"));

/**
 * The SDK is not a dependency of bench, because its own dependencies do not resolve. To compare, install it with `npm i
 * --no-save`.
 */
function sdkContender(): Trial["contenders"] {
  const require = createRequire(import.meta.url);
  try {
    require.resolve("@memvid/sdk");
  } catch {
    return {};
  }
  return {
    "@memvid/sdk": async ({ folder }) => {
      process.env.MEMVID_TELEMETRY = "0";
      return awaitedPuts(await require("@memvid/sdk").create(join(folder, "notes.mv2")));
    },
  };
}

export const memvidPuts: Trial = {
  title: "memvid: 1,000 single puts",
  unit: "ms",
  contenders: {
    awaited: async (context) => awaitedPuts(await own(context)),
    "all at once": async (context) => {
      const memory = await own(context);
      return millis(() => Promise.all(Array.from({ length: 1000 }, (_, i) => memory.put(frame(i)))));
    },
    putMany: async (context) => {
      const memory = await own(context);
      return millis(() => memory.putMany(Array.from({ length: 1000 }, (_, i) => frame(i))));
    },
    ...sdkContender(),
  },
};
