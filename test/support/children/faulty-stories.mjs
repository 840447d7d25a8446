// Changes stories in files at random, and makes a call to the file system fail within each change.
import { openStories } from "holdfast/stories";
import { arm, disarm } from "./faults.mjs";

const { path, seed, count, faults } = JSON.parse(process.argv[2]);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
let random = seed;
const below = (limit) => {
  random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
  return Math.floor((random / 2 ** 32) * limit);
};
const open = () => openStories({ backend: "filesystem", path, historyLimit: 5 });
const service = await open();
const stories = new Map();
const preferences = new Map();

/** The content of the folder as text that can be compared, read by this service or a new one. */
async function seen(by = service) {
  const found = {};
  for (const { id, tags } of await by.listStories()) {
    found[id] = { story: await by.loadStory(id, { skipCache: true }), tags };
    for (const { revision } of await by.revisions(id)) {
      if ((await by.loadRevision(id, revision)) === undefined) found[id].missing = revision;
    }
  }
  const p = {};
  for (const key of await by.backend.listPreferences("")) p[key] = (await by.backend.loadPreference(key)).value;
  return stable({ found, p });
}
const stable = ({ found, p }) =>
  JSON.stringify([
    Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)),
    Object.entries(p).sort(([a], [b]) => (a < b ? -1 : 1)),
  ]);
const expected = (ofStories = stories, ofPreferences = preferences) =>
  stable({ found: Object.fromEntries(ofStories), p: Object.fromEntries(ofPreferences) });

/** A random change: the call, and the expected state afterwards. */
function nextChange(n) {
  const after = new Map(stories);
  const afterPreferences = new Map(preferences);
  const id = `s${below(3)}`;
  const known = stories.get(id);
  const kind = ["save", "save", "save", "tag", "delete", "batch", "preference", "forget", "clear"][
    below(n % 40 === 39 ? 9 : 8)
  ];
  const put = (key, story) => after.set(key, { story, tags: stories.get(key)?.tags ?? [] });
  const story = { n, filler: "x".repeat(below(3) * 1000) };
  let call;
  if (kind === "save") {
    put(id, story);
    call = () => service.saveStory(id, story);
  } else if (kind === "tag") {
    if (known !== undefined) after.set(id, { ...known, tags: [`t${n}`] });
    call = () => service.updateMetadata(id, { tags: [`t${n}`] });
  } else if (kind === "delete") {
    after.delete(id);
    call = () => service.deleteStory(id);
  } else if (kind === "batch") {
    for (const key of ["s0", "s1", "s2"]) put(key, story);
    call = () => service.batchSave({ s0: story, s1: story, s2: story }, { atomic: true });
  } else if (kind === "preference") {
    afterPreferences.set(`p${below(2)}`, n);
    const [key] = [...afterPreferences].find(([, value]) => value === n);
    call = () => service.backend.savePreference(key, { value: n });
  } else if (kind === "forget") {
    afterPreferences.delete("p0");
    call = () => service.backend.deletePreference("p0");
  } else {
    after.clear();
    afterPreferences.clear();
    call = () => service.clear();
  }
  return { kind, call, after, afterPreferences };
}
const take = (from, into) => {
  into.clear();
  for (const [key, value] of from) into.set(key, value);
};

for (let n = 0; n < count; n++) {
  const { kind, call, after, afterPreferences } = nextChange(n);
  const fault = faults[below(faults.length)];
  const times = below(4) === 0 ? 12 : 1;
  // Most changes make only a few calls of a kind, so the first ones fail more often.
  arm({ ...fault, nth: 1 + below(1 + below(12)), times });
  const error = await call().then(
    () => undefined,
    (reason) => reason,
  );
  const { fired, path: where, call: what } = disarm();
  const label = `${kind} ${n}, ${what} of ${where.slice(path.length)} with ${fault.mode}, ${fired} times`;
  const problem = (text) => say({ problem: `${label}: ${text}` });
  if (fired > 0) say({ fired, code: error?.code ?? null, outcome: error?.outcome ?? null });
  if (error !== undefined && fired === 0) problem(`rejects without a fault: ${error.message}`);
  if (error !== undefined && error.name !== "StorageError") problem(`rejects with ${error.stack}`);
  const [before, done] = [expected(), expected(after, afterPreferences)];
  try {
    const now = await seen();
    // A new service, like that of another process, and the next change both finish the interrupted change.
    const other = await open();
    const later = await seen(other);
    await other.close();
    if (now !== later) problem(`is seen as ${now} at first, and as ${later} then`);
    if (
      error === undefined
        ? later !== done
        : error.outcome === "unknown"
          ? later !== done && later !== before
          : later !== before
    ) {
      problem(
        `${error === undefined ? "resolved" : `rejected with ${error.message}`}, and left ${later} of ${before} and ${done}`,
      );
    }
    if (later === done) {
      take(after, stories);
      take(afterPreferences, preferences);
    } else if (later !== before) break;
  } catch (failure) {
    problem(`the next call fails: ${failure.stack}`);
    break;
  }
}
await service.close();
say({ done: true });
