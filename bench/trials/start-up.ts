import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { millis, type Trial } from "../trial.js";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));

/** Starts a process that imports `name` and ends. */
const importing = (name: string) => () =>
  millis(async () => {
    const code = name === "" ? "" : `await import(${JSON.stringify(name)});`;
    execFileSync(process.execPath, ["--input-type=module", "-e", code], { cwd: REPOSITORY });
  });

/** Measures the build: run `npm run build` first. */
export const startUp: Trial = {
  title: "a process that imports the package, its dependencies, and the modules it loads only on use",
  unit: "ms",
  contenders: {
    holdfast: importing("holdfast"),
    "holdfast/client": importing("holdfast/client"),
    "drizzle-orm/libsql": importing("drizzle-orm/libsql"),
    "@libsql/client/http": importing("@libsql/client/http"),
    zod: importing("zod"),
    nothing: importing(""),
  },
};
