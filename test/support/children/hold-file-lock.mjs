// Takes the lock on `path` and keeps it until it is killed, or told to end without releasing it.
import { FileLock } from "holdfast/memvid";

const { path } = JSON.parse(process.argv[2]);
const lock = new FileLock(path);
const isHeld = await lock.acquire();
process.stdout.write(`${JSON.stringify({ isHeld })}\n`);
process.stdin.once("data", () => process.exit(0));
