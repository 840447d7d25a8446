// Reads possible states after a loss of power, one for each command. A bad state may abort the process.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createClient } from "holdfast/client";
import { OWN_TABLE, openEverything, readEverything } from "./workload.mjs";

for await (const line of createInterface({ input: process.stdin })) {
  const { number, dir, isDeep, withStories } = JSON.parse(line);
  let answer;
  try {
    answer = await read(dir, isDeep, withStories);
  } catch (error) {
    answer = { values: [], problems: [String(error.stack)] };
  }
  process.stdout.write(`${JSON.stringify({ number, ...answer })}\n`);
}

async function read(dir, isDeep, withStories) {
  const open = await openEverything(dir, { withStories });
  try {
    // The power was lost before it was created.
    await open.storage.client.execute(OWN_TABLE);
    const { values, problems } = await readEverything(open);
    if (isDeep) {
      const { findings } = await open.storage.check({ deep: true });
      for (const { severity, message } of findings) if (severity !== "info") problems.push(message);
    } else {
      problems.push(...(await integrity(open.places.database)));
    }
    const folder = open.places.backups;
    for (const name of existsSync(folder) ? readdirSync(folder) : []) {
      if (name.endsWith(".db")) problems.push(...(await integrity(join(folder, name))));
    }
    // The next change must work.
    await open.storage.memories.insert({ content: "after the loss of power" });
    await open.stories?.saveStory("after", { text: "after the loss of power" });
    return { values: [...values], problems };
  } finally {
    await open.close();
  }
}

async function integrity(path) {
  const client = createClient({ url: `file:${path}` });
  try {
    const { rows } = await client.execute("PRAGMA integrity_check");
    return rows.map((row) => `${path}: ${row[0]}`).filter((line) => !line.endsWith(": ok"));
  } finally {
    await client.close();
  }
}
