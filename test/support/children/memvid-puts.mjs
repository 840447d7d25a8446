// Puts `count` frames, one awaited call after the other, into the memory at `path`.
import { use } from "holdfast/memvid";

const { path, name, count } = JSON.parse(process.argv[2]);
const memory = await use("basic", path, { mode: "auto" });
const ids = [];
for (let i = 0; i < count; i++) ids.push(await memory.put({ title: `${name}/${i}`, text: `frame ${i} of ${name}` }));
await memory.seal();
process.stdout.write(`${JSON.stringify({ ids })}\n`);
