// Acquires a lock, or releases it, while the process has no descriptors left. It is started with a low limit.
import { closeSync, existsSync, openSync } from "node:fs";
import { FileLock } from "holdfast/lock";

const { path } = JSON.parse(process.argv[2]);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const warnings = [];
process.on("warning", ({ message }) => warnings.push(message));
const taken = [];
const exhaust = () => {
  for (;;) {
    try {
      taken.push(openSync("/dev/null", "r"));
    } catch (error) {
      if (error.code !== "EMFILE") throw error;
      return;
    }
  }
};
const free = () => {
  for (const descriptor of taken.splice(0)) closeSync(descriptor);
};
const lock = new FileLock(path);
const other = new FileLock(path);
// Load everything that the library would load later.
await lock.withLock(() => "first");

// Descriptors become free while `acquire` retries.
exhaust();
setTimeout(free, 150);
say({ acquired: await lock.acquire(20_000) });
await lock.release();
exhaust();
say({ refused: await lock.acquire(20).then(String, ({ code, retryable }) => ({ code, retryable })) });
free();

// Descriptors become free while the release retries.
const brief = await lock.withLock(() => {
  exhaust();
  setTimeout(free, 100);
  return "done";
});
say({ brief, isLeft: existsSync(`${path}.lock`), warnings: [...warnings] });

// For longer than the release retries.
const long = await lock.withLock(() => {
  exhaust();
  return "done too";
});
await new Promise((resolve) => setImmediate(resolve));
say({ long, warnings: warnings.length });
say({ owed: await lock.acquire(20).then(String, ({ code, retryable }) => ({ code, retryable })) });
const waiting = other.acquire(20_000);
free();
say({ other: await waiting });
await other.release();

// The same object, before the next attempt is due.
await lock.withLock(exhaust);
free();
say({ next: await lock.acquire(0) });
await lock.release();
say({ isLeft: existsSync(`${path}.lock`) });
