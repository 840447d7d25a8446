import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { millis, type Trial, type TrialContext } from "../trial.js";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));

const node = (...args: string[]) => execFileSync(process.execPath, args, { cwd: REPOSITORY });
const run = (code: string) => node("--input-type=module", "-e", code);

/** Starts a process that imports `name` and ends. */
const importing = (name: string) => () =>
  millis(async () => run(name === "" ? "" : `await import(${JSON.stringify(name)});`));

/** Runs a program on a file that it has made before, and returns the time of the second run. */
const repeated = (program: (path: string) => string) => (context: TrialContext) => {
  const code = program(join(context.folder, "app.db"));
  run(code);
  return millis(async () => run(code));
};

const remember = (path: string) => `
  import { openStorage } from "holdfast";
  const storage = await openStorage(${JSON.stringify(path)});
  await storage.memories.insert({ content: "Deploys run on Tuesdays" });
  await storage.close();`;

const rememberWithDrizzle = (path: string) => `
  import { createClient } from "@libsql/client";
  import { drizzle } from "drizzle-orm/libsql";
  import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
  const memories = sqliteTable("memories", { id: text().primaryKey(), content: text(), createdAt: integer() });
  const client = createClient({ url: "file:" + ${JSON.stringify(path)} });
  await client.execute("CREATE TABLE IF NOT EXISTS memories (id TEXT PRIMARY KEY, content TEXT, createdAt INTEGER)");
  await drizzle({ client }).insert(memories).values({ id: crypto.randomUUID(), content: "Deploys run on Tuesdays", createdAt: Date.now() });
  client.close();`;

/** Measures the command on a file of 50 memories. */
const command =
  (...args: string[]) =>
  async ({ folder }: TrialContext) => {
    const path = join(folder, "app.db");
    run(`
    import { openStorage } from "holdfast";
    const storage = await openStorage(${JSON.stringify(path)});
    await storage.memories.insertMany(Array.from({ length: 50 }, (_, day) => ({ content: "Deploys of day " + day })));
    await storage.close();`);
    return millis(async () => node("dist/cli/main.js", ...args, "--url", path));
  };

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

/** What a hook of an editor or an agent does each time. */
export const hook: Trial = {
  title: "a process that opens an existing file, stores one record and closes",
  unit: "ms",
  contenders: {
    holdfast: repeated(remember),
    "Drizzle on @libsql/client": repeated(rememberWithDrizzle),
  },
};

export const commandLine: Trial = {
  title: "the command, next to a process that does nothing",
  unit: "ms",
  contenders: {
    nothing: importing(""),
    "holdfast --version": () => millis(async () => node("dist/cli/main.js", "--version")),
    "holdfast search": command("search", "deploys"),
  },
};
