// Writes `count` entries to `path` without awaiting any, and reaches the end of its program.
import { createStorage } from "holdfast/memvid";

const { path, count } = JSON.parse(process.argv[2]);
const storage = await createStorage({ path, busyTimeoutMs: 20 });
for (let i = 0; i < count; i++) {
  void storage.write(`n${i}`, {
    id: `n${i}`,
    type: "tool",
    content: `entry ${i}`,
    metadata: {},
    createdAt: new Date(),
  });
}
console.log(JSON.stringify({ waiting: storage.waiting }));
console.log(JSON.stringify({ ended: true }));
