import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** The packages that a built module imports before it runs, directly or through other modules. */
export function packagesOf(path: string): string[] {
  return loadedBy(path).packages;
}

/** The files that a built module loads before it runs: itself, and the modules that it imports. */
export function filesOf(path: string): string[] {
  return loadedBy(path).files;
}

function loadedBy(path: string): { packages: string[]; files: string[] } {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const [, name] of readFileSync(file, "utf8").matchAll(
      /(?:^|[;}])(?:import|export)\b(?:[^;"()]*\bfrom)?"([^"]+)"/gm,
    )) {
      if (name!.startsWith(".")) visit(resolve(dirname(file), name!));
      else if (!name!.startsWith("node:")) packages.add(name!);
    }
  };
  visit(path);
  return { packages: [...packages].sort(), files: [...seen] };
}
