import { StorageError } from "../../shared/errors.js";
import { describeValue } from "../../shared/expectation.js";

type Check = (answer: unknown) => string | undefined;

/**
 * What a method of a caller's backend resolved to, if it is what the interface asks for. Null passes for undefined.
 *
 * Throws `INVALID_ANSWER` otherwise: a wrong answer must fail the call that got it, and not what is made of it later.
 */
export function checkedAnswer(backend: string, method: string, answer: unknown): unknown {
  const check = CHECKS[method];
  if (check === undefined) return answer;
  const given = answer === null || (method === "updateMetadata" && answer === false) ? undefined : answer;
  const expected = check(given);
  if (expected === undefined) return given;
  throw new StorageError(
    "INVALID_ANSWER",
    `Expected ${backend}.${method}() to resolve to ${expected}, got ${describeValue(answer)}: the backend must be corrected`,
  );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: unknown) => typeof value === "number" && Number.isFinite(value) && value >= 0;
const isTime = (value: unknown) => value instanceof Date && !Number.isNaN(value.getTime());
const isText = (value: unknown) => typeof value === "string";

/** The fields of a record that are not what they must be, named in the order of the record. */
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

const CHECKS: Readonly<Record<string, Check>> = {
  save: metadata,
  saveIf: metadata,
  load: orMissing(story),
  delete: flag,
  list: listOf("metadata", metadata),
  exists: flag,
  getMetadata: orMissing(metadata),
  updateMetadata: orMissing(metadata),
  export: orMissing(text),
  importData: simple("the id of the story", (value) => typeof value === "string" && value !== ""),
  getStorageUsage: simple("a number of bytes", isCount),
  loadPreference: orMissing(simple("a preference { value, scope }", (value) => isObject(value) && "value" in value)),
  listPreferences: listOf("keys", text),
  addToSyncQueue: recordOf("the entry", ENTRY),
  getSyncQueue: listOf("entries", recordOf("an entry", ENTRY)),
  revisions: listOf("revisions", recordOf("a revision", REVISION)),
  loadRevision: orMissing(story),
  conflicts: listOf("files", recordOf("a file", CONFLICT)),
};
