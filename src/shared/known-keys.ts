import { describeValue, isPlainObject } from "./expectation.js";

/** Option names of other libraries, and the options of ours that they may stand for. */
const SLIPS: Readonly<Record<string, readonly string[]>> = {
  path: ["url", "folder", "dir"],
  file: ["url", "path"],
  filename: ["url", "path"],
  filepath: ["url", "path"],
  dbpath: ["url", "path"],
  dbname: ["url", "path"],
  dburl: ["url", "path"],
  database: ["url", "path"],
  databaseurl: ["url"],
  connectionstring: ["url"],
  uri: ["url", "path"],
  url: ["path"],
  dir: ["dataDir", "path", "folder"],
  directory: ["dataDir", "path", "folder"],
  folder: ["dataDir", "path"],
  root: ["path"],
  token: ["authToken"],
  key: ["encryptionKey"],
  password: ["encryptionKey"],
  max: ["limit"],
  count: ["limit"],
  top: ["limit"],
  topk: ["limit"],
  k: ["limit"],
  take: ["limit"],
  text: ["content"],
  body: ["content"],
  tag: ["tags"],
  abortsignal: ["signal"],
};

/**
 * Throws TypeError unless `value` is an object with only known keys, so that misspelled options are not ignored.
 *
 * Refuses an unknown key whatever its value, even undefined, so that the mistake shows on the first run and not on the
 * first run with a value.
 *
 * `name` is what messages say: a call whose options these are, a parameter in backquotes, or a thing such as "a memory".
 */
export function expectKeys(name: string, value: unknown, known: readonly string[]): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError(`Expected ${subjectOf(name)} to be an object, got ${describeValue(value)}`);
  }
  const keys = Object.keys(value);
  // A promise that was not awaited, a Map or a Date: without keys, all of it would be ignored.
  if (keys.length === 0 && !isPlainObject(value)) {
    throw new TypeError(`Expected ${subjectOf(name)} to be a plain object, got ${describeValue(value)}`);
  }
  for (const key of keys) {
    if (known.includes(key)) continue;
    const meant = meantBy(key, known);
    const hint = meant === undefined ? "." : `: did you mean \`${meant}\`?`;
    throw new TypeError(`Unknown option \`${key}\` of ${name}${hint} Known options: ${known.join(", ")}`);
  }
}

function subjectOf(name: string): string {
  if (name.startsWith("`")) return name;
  return /^an? /.test(name) ? name.replace(/^an? /, "the ") : `the options of \`${name}\``;
}

/** The known option that a name probably stands for, if there is one. */
function meantBy(key: string, known: readonly string[]): string | undefined {
  const given = plain(key);
  const same = known.find((one) => plain(one) === given);
  if (same !== undefined) return same;
  const slip = Object.hasOwn(SLIPS, given) ? SLIPS[given]!.find((one) => known.includes(one)) : undefined;
  if (slip !== undefined) return slip;
  // Allows one typing mistake in a short name, two in a long one.
  const most = given.length < 3 ? 0 : given.length < 8 ? 1 : 2;
  let nearest: string | undefined;
  let least = most + 1;
  for (const one of known) {
    const distance = distanceOf(given, plain(one), most);
    if (distance >= least) continue;
    nearest = one;
    least = distance;
  }
  return nearest;
}

/** `read_only`, `read-only` and `readonly` count as the same name. */
function plain(name: string): string {
  return name.replaceAll(/[_-]/g, "").toLowerCase();
}

/**
 * Counts the letters to add, remove, replace or swap with their neighbor. Above `most`, the result may be any larger
 * number.
 */
function distanceOf(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      let least = Math.min(above[column]! + 1, current[column - 1]! + 1, above[column - 1]! + (isSame ? 0 : 1));
      const isSwapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (isSwapped) least = Math.min(least, before[column - 2]! + 1);
      current.push(least);
    }
    before = above;
    above = current;
  }
  return above[b.length]!;
}
