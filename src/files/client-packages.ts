import { createRequire } from "node:module";
import { join } from "node:path";

/**
 * The module or folder from which `@libsql/client` was found, as createRequire takes it. In a bundle, the module itself
 * has another place, or none (`import.meta.url` is undefined in CommonJS, and webpack writes that of the build).
 */
export const PACKAGES_BASE: string = findBase();

/** Loads packages as modules of `@libsql/client` would, or those that it is installed with. */
export const requireAsClient: NodeJS.Require = createRequire(
  createRequire(PACKAGES_BASE).resolve("@libsql/client/sqlite3"),
);

function findBase(): string {
  const own: string | undefined = import.meta.url;
  const bundle = typeof __filename === "string" ? __filename : undefined;
  const tried = [own, bundle, process.argv[1], join(process.cwd(), "_"), process.execPath];
  let failure: unknown;
  for (const from of tried) {
    if (!from) continue;
    try {
      createRequire(from).resolve("@libsql/client/sqlite3");
      return from;
    } catch (error) {
      failure ??= error;
    }
  }
  throw new Error(
    `Cannot find @libsql/client from ${tried.filter(Boolean).join(", ")}. Install it, with libsql, where the program runs: they cannot be part of a bundle`,
    { cause: failure },
  );
}
