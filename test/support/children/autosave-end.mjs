// Edits a story, and ends in one of several ways before the autosave is due.
import { Autosave, openStories } from "holdfast/stories";

const { backend, path, end } = JSON.parse(process.argv[2]);
const service = await openStories({ backend, path });
const own = { setTimeout: () => 7, clearTimeout: () => undefined };
const numbers = () => {
  // As in a browser, a timer is a number.
  const real = globalThis.setTimeout;
  const timers = new Map();
  globalThis.setTimeout = (...rest) => {
    timers.set(timers.size + 1, real(...rest));
    return timers.size;
  };
  const clear = globalThis.clearTimeout;
  globalThis.clearTimeout = (timer) => clear(timers.get(timer) ?? timer);
};
if (end === "numbers") numbers();
const options = {
  numbers: { debounce: 20 },
  runs: { debounce: 300 },
  infinite: { debounce: Number.POSITIVE_INFINITY },
  clock: { clock: own },
  conflict: { debounce: 5 },
};
const autosave = new Autosave({ service, ...options[end] });
autosave.markDirty("a", { end }, end === "conflict" ? { revision: 7 } : {});
if (end === "paused") autosave.pause();
if (end === "started") {
  autosave.start();
  await autosave.saveNow("a");
}
if (end === "SIGTERM") {
  // The handler from the documentation.
  for (const signal of ["SIGTERM", "SIGINT"]) {
    process.once(signal, async () => {
      await service.close();
      process.kill(process.pid, signal);
    });
  }
  process.kill(process.pid, "SIGTERM");
}
if (end === "unhandled") process.kill(process.pid, "SIGTERM");
process.on("exit", (code) => process.stdout.write(`${JSON.stringify({ code, dirty: autosave.dirty() })}\n`));
