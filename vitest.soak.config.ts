import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // Each of these runs for HOLDFAST_SOAK_MINUTES; in `npm test` those that are tests run their short form.
    include: [
      "test/reliability/*.soak.ts",
      "test/maintenance/salvage.test.ts",
      "test/reliability/{contention,injected-faults,kills,model,power-loss,replica,crash,story-crash,workers}.test.ts",
      "test/{search/{hostile-queries,limits,quality},files/lock/file-lock,migrate/{corpus,applications,start-together}}.test.ts",
    ],
    globalSetup: ["test/support/reliability-table.ts"],
    pool: "forks",
    // What a soak measures, it measures with the machine to itself.
    fileParallelism: false,
    testTimeout: (Number(process.env.HOLDFAST_SOAK_MINUTES ?? 5) + 15) * 60_000,
    hookTimeout: 60_000,
  },
});
