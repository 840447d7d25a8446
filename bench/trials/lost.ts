import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createClient as createStockClient } from "@libsql/client";
import { openStorage } from "../../src/index.js";
import type { Trial, TrialContext } from "../trial.js";

/** How many records each process stores. */
const EACH = 20;
const TWO = 2;
const require = createRequire(import.meta.url);

/** What the trial calls of a client of the MCP SDK. The type check does not need the packages of bench. */
interface McpClient {
  connect(transport: object): Promise<void>;
  callTool(call: object): Promise<{ readonly isError?: boolean; readonly content: unknown }>;
  close(): Promise<void>;
}

/** A connection to a new process of the official MCP memory server. */
async function memoryServer(file: string): Promise<McpClient> {
  const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
  const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
  const client: McpClient = new Client({ name: "bench", version: "1.0.0" });
  const main = require.resolve("@modelcontextprotocol/server-memory/dist/index.js");
  const env = { ...(process.env as Record<string, string>), MEMORY_FILE_PATH: file };
  await client.connect(new StdioClientTransport({ command: process.execPath, args: [main], env, stderr: "ignore" }));
  return client;
}

/** Calls that store one record each. Rejects if the store does. */
function entities(server: McpClient, from: string): (() => Promise<unknown>)[] {
  return Array.from({ length: EACH }, (_, index) => async () => {
    const entity = { name: `${from}-${index}`, entityType: "note", observations: ["kept"] };
    const result = await server.callTool({ name: "create_entities", arguments: { entities: [entity] } });
    if (result.isError) throw new Error(JSON.stringify(result.content));
  });
}

async function countEntities(file: string): Promise<number> {
  const server = await memoryServer(file);
  const result = await server.callTool({ name: "read_graph", arguments: {} });
  await server.close();
  const [{ text }] = result.content as [{ text: string }];
  return (JSON.parse(text) as { entities: unknown[] }).entities.length;
}

/** Runs `calls` of all processes at once. Returns how many of them claimed to have stored a record. */
async function acknowledged(calls: readonly (() => Promise<unknown>)[]): Promise<number> {
  const results = await Promise.allSettled(calls.map((call) => call()));
  return results.filter(({ status }) => status === "fulfilled").length;
}

/** A process that inserts the rows of `table` with the stock client or with Holdfast, all at once, and prints how many resolved. */
const WRITER = `
  const [, module, name, url, from] = process.argv;
  const { [name]: open } = await import(module);
  const client = name === "openStorage" ? (await open(url)).memories : open({ url });
  const store = (content) => name === "openStorage"
    ? client.insert({ content })
    : client.execute({ sql: "INSERT INTO notes VALUES (?)", args: [content] });
  process.stdout.write("ready\\n");
  await new Promise((resolve) => process.stdin.once("data", resolve));
  const results = await Promise.allSettled(Array.from({ length: ${EACH} }, (_, index) => store(from + index)));
  process.stdout.write(results.filter(({ status }) => status === "fulfilled").length + "\\n", () => process.exit(0));
`;

/** Two processes store at the same time. Returns how many of their calls resolved. */
async function twoWriters(module: string, name: string, url: string): Promise<number> {
  const writers = Array.from({ length: TWO }, (_, index) =>
    spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", WRITER, module, name, url, `p${index}-`], {
      stdio: ["pipe", "pipe", "inherit"],
    }),
  );
  await Promise.all(writers.map((writer) => once(writer.stdout, "data")));
  for (const writer of writers) writer.stdin.end("go\n");
  const counts = await Promise.all(
    writers.map(async (writer) => Number(String((await once(writer.stdout, "data"))[0]))),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

const stored = {
  holdfast: async ({ folder }: TrialContext) => {
    const file = join(folder, "notes.db");
    await (await openStorage(file)).close();
    await twoWriters(pathToFileURL(join(import.meta.dirname, "../../src/index.ts")).href, "openStorage", file);
    const storage = await openStorage(file);
    const count = await storage.memories.count();
    await storage.close();
    return count;
  },
  "MCP memory server": async ({ folder }: TrialContext) => {
    const file = join(folder, "memory.jsonl");
    const servers = await Promise.all(Array.from({ length: TWO }, () => memoryServer(file)));
    // One call after the other in each process, which is kinder to it than all at once.
    await Promise.all(
      servers.map(async (server, process) => {
        for (const store of entities(server, `p${process}`)) await store();
      }),
    );
    for (const server of servers) await server.close();
    return countEntities(file);
  },
  "stock client": async ({ folder }: TrialContext) => {
    const url = `file:${join(folder, "notes.db")}`;
    const client = createStockClient({ url });
    await client.batch(["PRAGMA journal_mode = WAL", "CREATE TABLE notes (text TEXT NOT NULL)"], "write");
    await twoWriters(import.meta.resolve("@libsql/client"), "createClient", url);
    const { rows } = await client.execute("SELECT count(*) FROM notes");
    return Number(rows[0]![0]);
  },
};

export const lostOfTwoProcesses: Trial = {
  title: `records stored, of ${TWO * EACH} that two processes stored at the same time`,
  unit: "records",
  isMoreBetter: true,
  contenders: stored,
};

export const lostOfOneProcess: Trial = {
  title: `records stored, of ${EACH} that one process stored at once, each acknowledged`,
  unit: "records",
  isMoreBetter: true,
  contenders: {
    holdfast: async ({ folder }) => {
      const storage = await openStorage(join(folder, "notes.db"));
      const said = await acknowledged(
        Array.from({ length: EACH }, (_, index) => () => storage.memories.insert({ content: `note ${index}` })),
      );
      const count = await storage.memories.count();
      await storage.close();
      if (said !== EACH) throw new Error(`${EACH - said} were refused`);
      return count;
    },
    "MCP memory server": async ({ folder }) => {
      const file = join(folder, "memory.jsonl");
      const server = await memoryServer(file);
      const said = await acknowledged(entities(server, "p0"));
      await server.close();
      if (said !== EACH) throw new Error(`${EACH - said} were refused`);
      return countEntities(file);
    },
  },
};
