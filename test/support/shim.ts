import { execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("./fault-shim.c", import.meta.url));

/** A library that makes a child's calls to the file system fail, or records them. */
export interface Shim extends Disposable {
  /** The environment of a child whose files in `folder` are affected; see fault-shim.c. */
  environment(folder: string, options: { readonly trace?: string }): Readonly<Record<string, string>>;
}

/** Compiles the shim. Returns undefined and prints the reason if there is no C compiler or no LD_PRELOAD. */
export function compileShim(): Shim | undefined {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-shim-"));
  const library = join(folder, "fault-shim.so");
  try {
    if (process.platform !== "linux") throw new Error(`There is no LD_PRELOAD on ${process.platform}`);
    execFileSync("cc", ["-O2", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl", "-lpthread"], { stdio: "pipe" });
  } catch (error) {
    rmSync(folder, { recursive: true });
    console.warn(`Skipped, because the shim for faults cannot be compiled: ${(error as Error).message}`);
    return undefined;
  }
  let controls = 0;
  return {
    environment(watched, { trace }) {
      const control = join(folder, `control-${controls++}`);
      const descriptor = openSync(control, "w");
      ftruncateSync(descriptor, 4096);
      closeSync(descriptor);
      return {
        LD_PRELOAD: library,
        HOLDFAST_SHIM_FOLDER: watched,
        HOLDFAST_SHIM_CONTROL: control,
        ...(trace === undefined ? {} : { HOLDFAST_SHIM_TRACE: trace }),
      };
    },
    [Symbol.dispose]() {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
