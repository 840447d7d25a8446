// Opens a database with the given options, perhaps as another user, and reports the result.
import { openStorage } from "holdfast";

const { options, uid, write, backup } = JSON.parse(process.argv[2]);
if (uid !== undefined) {
  process.setgid(uid);
  process.setuid(uid);
}
const say = (answer) => console.log(JSON.stringify(answer));
try {
  const storage = await openStorage(options);
  const { items } = await storage.memories.list({ limit: 100 });
  const found = await storage.memories.search("zebra");
  const answer = { count: items.length, found: found.length, health: (await storage.health()).ok };
  if (backup !== undefined) answer.backup = (await storage.backup(backup)).bytes > 0;
  if (write) {
    const failure = await storage.memories.insert({ content: "no" }).catch((error) => error);
    answer.failure = { code: failure.code, message: failure.message };
  }
  await storage.close();
  say(answer);
} catch (error) {
  say({ error: { code: error.code, message: error.message } });
}
