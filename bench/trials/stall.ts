import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createClient as createStockClient } from "@libsql/client";
import { createClient } from "../../src/client/index.js";
import { INSERT, itemValues, openHoldfast } from "../databases.js";
import type { Trial, TrialContext } from "../trial.js";

const HELD_MS = 2000;
const HOLDER = `
  import { createClient } from "@libsql/client";
  const client = createClient({ url: process.argv[1], concurrency: 1 });
  const transaction = await client.transaction("write");
  console.log("held");
  setTimeout(async () => { await transaction.rollback(); process.exit(0); }, ${HELD_MS});
`;

/** Returns the longest pause of a 1 ms timer while a write waits for the lock of another process. */
async function longestStall(
  { folder }: TrialContext,
  open: (url: string) => { execute: (s: { sql: string; args: unknown[] }) => Promise<unknown> },
) {
  await (await openHoldfast(folder)).close();
  const url = `file:${join(folder, "holdfast.db")}`;
  const client = open(url);
  await client.execute({ sql: "SELECT 1", args: [] });
  const holder = spawn(process.execPath, ["--input-type=module", "-e", HOLDER, url], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await client.execute({ sql: INSERT, args: itemValues(1) });
  await new Promise((resolve) => setTimeout(resolve, 50));
  clearInterval(timer);
  return longest;
}

export const eventLoopStall: Trial = {
  title: `longest event-loop stall while another process holds the write lock for ${HELD_MS} ms`,
  unit: "ms",
  contenders: {
    holdfast: (context) => longestStall(context, (url) => createClient({ url }) as never),
    "stock client": (context) => longestStall(context, (url) => createStockClient({ url, timeout: 10_000 }) as never),
  },
};
