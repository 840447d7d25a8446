/** The folder of the package, with `src` and `dist` in it. Built modules are moved into chunks, so only this one may ask. */
export const PACKAGE_FOLDER = new URL("..", import.meta.url);

/** Whether the TypeScript of `src` runs, as in tests, and not the build. */
export const RUNS_FROM_SOURCE = import.meta.url.endsWith(".ts");
