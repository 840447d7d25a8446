/**
 * Three processes put notes into one memory at the same time. Then the program searches it.
 *
 *     npx tsx examples/memvid.ts [FILE]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { use } from "holdfast/memvid";

const PUTS = 50;
const [file = join(mkdtempSync(join(tmpdir(), "holdfast-")), "notes.mv2"), writer] = process.argv.slice(2);

if (writer === undefined) await main(file);
else await write(file, writer);

async function write(path: string, name: string): Promise<void> {
  const memory = await use("basic", path, { mode: "auto" });
  for (let i = 0; i < PUTS; i++) {
    await memory.put({ title: `${name}/${i}`, label: "note", text: `Note ${i}, written by ${name}`, tags: [name] });
  }
  await memory.seal();
}

async function main(path: string): Promise<void> {
  const started = performance.now();
  const children = ["Alice", "Bob", "Carol"].map((name) =>
    spawn(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), path, name], { stdio: "inherit" }),
  );
  const codes = await Promise.all(children.map(async (child) => (await once(child, "exit"))[0]));
  if (codes.some((code) => code !== 0)) throw new Error(`The writers exited with the codes ${codes}`);
  const memory = await use("basic", path);
  const { frame_count, size_bytes } = await memory.stats();
  console.log(`${frame_count} frames, ${size_bytes} bytes, in ${Math.round(performance.now() - started)} ms: ${path}`);
  const { hits, total_hits } = await memory.find("notes written by bob", { k: 3 });
  console.log(`${total_hits} hits; the best:`);
  for (const hit of hits) console.log(`  ${hit.score.toFixed(3)}  ${hit.title}  ${hit.snippet}`);
  console.log((await memory.verify({ deep: true })).overall_status);
  await memory.close();
}
