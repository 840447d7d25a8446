import { StorageError } from "../../shared/errors.js";
import { describeValue, isObject } from "../../shared/expectation.js";

/** Returns what was expected if an answer is wrong. */
type Check = (answer: unknown) => string | undefined;

const isCount = (value: unknown) => typeof value === "number" && Number.isFinite(value) && value >= 0;
const isTime = (value: unknown) => value instanceof Date && !Number.isNaN(value.getTime());
const isText = (value: unknown) => typeof value === "string";

/** The names of the wrong fields of a record, in the order of the record. */
function wrongFields(record: unknown, fields: Readonly<Record<string, (value: unknown) => boolean>>): string[] {
  if (!isObject(record)) return Object.keys(fields);
  return Object.entries(fields).flatMap(([name, isRight]) => (isRight(record[name]) ? [] : name));
}

const METADATA = {
  id: isText,
  title: isText,
  tags: (value: unknown) => Array.isArray(value) && value.every(isText),
  size: isCount,
  revision: (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 1,
  createdAt: isTime,
  updatedAt: isTime,
};
const REVISION = { revision: METADATA.revision, size: isCount, createdAt: isTime };
const ENTRY = { id: isText, storyId: isText, action: isText };
const CONFLICT = { path: isText, name: isText };

function recordOf(what: string, fields: Readonly<Record<string, (value: unknown) => boolean>>): Check {
  return (answer) => {
    const wrong = wrongFields(answer, fields);
    if (wrong.length === 0) return undefined;
    return `${what} { ${Object.keys(fields).join(", ")} }${isObject(answer) ? ` (${wrong.join(", ")} is wrong)` : ""}`;
  };
}

function listOf(what: string, check: Check): Check {
  return (answer) => {
    if (!Array.isArray(answer)) return `an array of ${what}`;
    for (let index = 0; index < answer.length; index++) {
      const expected = check(answer[index]);
      if (expected !== undefined) return `an array of ${what}, of which the one at ${index} is not ${expected}`;
    }
    return undefined;
  };
}

function orMissing(check: Check): Check {
  return (answer) => {
    const expected = answer === undefined ? undefined : check(answer);
    return expected === undefined ? undefined : `${expected}, or undefined where there is none`;
  };
}

function simple(what: string, isRight: (value: unknown) => boolean): Check {
  return (answer) => (isRight(answer) ? undefined : what);
}

const metadata = recordOf("metadata", METADATA);
const flag = simple("true or false", (value) => typeof value === "boolean");
const story = simple("a story, an object,", isObject);
const text = simple("a string", isText);
const preference = simple("a preference { value, scope }", (value) => isObject(value) && "value" in value);

/** A method of a backend: `part` names what an optional one belongs to, `check` what its answer must be. */
export interface Method {
  readonly part?: string;
  readonly check?: Check;
}

/** The methods of a backend; those without `part` are required. */
export const METHODS = {
  initialize: {},
  save: { check: metadata },
  load: { check: orMissing(story) },
  delete: { check: flag },
  list: { check: listOf("metadata", metadata) },
  exists: { check: flag },
  getMetadata: { check: orMissing(metadata) },
  updateMetadata: { check: orMissing(metadata) },
  export: { check: orMissing(text) },
  importData: { check: simple("the id of the story", (value) => typeof value === "string" && value !== "") },
  getStorageUsage: { check: simple("a number of bytes", isCount) },
  clear: {},
  savePreference: { part: "preferences" },
  loadPreference: { part: "preferences", check: orMissing(preference) },
  deletePreference: { part: "preferences" },
  listPreferences: { part: "preferences", check: listOf("keys", text) },
  addToSyncQueue: { part: "a sync queue", check: recordOf("the entry", ENTRY) },
  getSyncQueue: { part: "a sync queue", check: listOf("entries", recordOf("an entry", ENTRY)) },
  removeFromSyncQueue: { part: "a sync queue" },
  clearSyncQueue: { part: "a sync queue" },
  saveGithubToken: { part: "GitHub tokens" },
  loadGithubToken: { part: "GitHub tokens" },
  deleteGithubToken: { part: "GitHub tokens" },
  saveIf: { part: "conditional saves", check: metadata },
  revisions: { part: "history", check: listOf("revisions", recordOf("a revision", REVISION)) },
  loadRevision: { part: "history", check: orMissing(story) },
  conflicts: { part: "conflicted copies", check: listOf("files", recordOf("a file", CONFLICT)) },
} as const satisfies Readonly<Record<string, Method>>;

/**
 * Returns the answer of a method of a caller's backend; null becomes undefined.
 *
 * Throws `INVALID_ANSWER` if it is not what the interface asks for, so that the call with the wrong answer fails, and
 * not a later one.
 */
export function checkedAnswer(backend: string, method: keyof typeof METHODS, answer: unknown): unknown {
  const { check }: Method = METHODS[method];
  if (check === undefined) return answer;
  const given = answer === null || (method === "updateMetadata" && answer === false) ? undefined : answer;
  const expected = check(given);
  if (expected === undefined) return given;
  throw new StorageError(
    "INVALID_ANSWER",
    `Expected ${backend}.${method}() to resolve to ${expected}, got ${describeValue(answer)}: the backend must be corrected`,
  );
}
