import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const { exports } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));

/** The package by its own name, from source. Child processes get the build, and so do the projects of servers. */
const SOURCES = Object.entries(exports as Record<string, { readonly default?: string }>)
  .filter(([, target]) => target.default !== undefined)
  .map(([entry, target]) => {
    const path = target.default!.replace("./dist/", "./src/").replace(/\.js$/, ".ts");
    return {
      find: new RegExp(`^holdfast${entry.slice(1)}$`),
      replacement: fileURLToPath(new URL(path, import.meta.url)),
    };
  });

/** The build is imported as it is, which takes a fraction of the time of transforming it or the sources. */
const BUILD = /\/dist\//;

/** Runs on every target; the support helper `tempStorage` opens the one that the project names. */
const ON_EVERY_TARGET = [
  "test/areas/*.test.ts",
  "test/areas/{conversations,graph,memories,sessions}/*.test.ts",
  "test/storage/{transactions,projects}.test.ts",
  "test/areas/stories/storage.test.ts",
];

/** Of these, what opens files by itself, or nothing. */
const ON_FILES_ONLY = [
  "test/areas/{registry,statements,wrong-arguments}.test.ts",
  "test/areas/*/{area,functions,processes}.test.ts",
];

/** Files that replace modules, or count what the whole process holds: each runs in a separate process. */
const ALONE = [
  "test/files/descriptors.test.ts",
  "test/maintenance/{backup-placement,restore-newcomers,restore-steps}.test.ts",
  "test/reliability/sync-order.test.ts",
];

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        resolve: { alias: SOURCES },
        // The table of what was tried and what was lost is printed once, at the end of the run.
        test: {
          name: "file",
          include: ["test/**/*.test.ts"],
          exclude: ALONE,
          globalSetup: ["test/support/reliability-table.ts"],
        },
      },
      {
        extends: true,
        resolve: { alias: SOURCES },
        test: { name: "alone", include: ALONE, isolate: true },
      },
      {
        extends: true,
        test: {
          name: "server",
          include: ON_EVERY_TARGET,
          exclude: ON_FILES_ONLY,
          env: { HOLDFAST_TEST_TARGET: "server" },
          server: { deps: { external: [BUILD] } },
        },
      },
      {
        extends: true,
        test: {
          name: "replica",
          include: ON_EVERY_TARGET,
          exclude: ON_FILES_ONLY,
          env: { HOLDFAST_TEST_TARGET: "replica" },
          server: { deps: { external: [BUILD] } },
        },
      },
    ],
    pool: "forks",
    // The files of a worker share the modules that they import. Loading them again for each file takes minutes.
    isolate: false,
    // Most of them wait, for child processes and the disk; one worker to a core, less one, would leave two cores idle.
    maxWorkers: 3,
    // Tests of what is freed ask for the garbage to be collected.
    execArgv: ["--expose-gc"],
    globalSetup: ["test/support/templates.ts"],
    // The examples import the build, which loads faster than the source.
    env: { TSX_TSCONFIG_PATH: fileURLToPath(new URL("test/support/tsconfig.examples.json", import.meta.url)) },
    // For what hangs; none of these limits is a figure, and a machine may be several times slower than another.
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
