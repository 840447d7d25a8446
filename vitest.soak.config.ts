import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/reliability/*.soak.ts"],
    globalSetup: ["test/support/reliability-table.ts"],
    pool: "forks",
    // What a soak measures, it measures with the machine to itself.
    fileParallelism: false,
    testTimeout: 10 * 60_000,
    hookTimeout: 60_000,
  },
});
