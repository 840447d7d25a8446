import { asObject, type StoryData } from "./story.js";

/** The problems of a story: errors make it invalid, warnings do not. */
export interface StoryValidation {
  readonly valid: boolean;
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** Returns the next version of a story. It may change the story that it gets. */
export type StoryMigration = (story: StoryData) => StoryData | Promise<StoryData>;

/** `metadata.version`, else the version that the shape of the story indicates. */
export function detectVersion(story: StoryData): string {
  const { version } = asObject(story.metadata) ?? {};
  if (typeof version === "string" && version !== "") return version;
  if (typeof version === "number") return Number.isInteger(version) ? `${version}.0` : String(version);
  if (variablesOf(story).some(isTyped)) return "2.0";
  const hasPassages = passagesOf(story) !== undefined;
  return ("name" in story && !("title" in story)) || !hasPassages ? "0.9" : "1.0";
}

export function validateStory(story: unknown): StoryValidation {
  const errors: string[] = [];
  const warnings: string[] = [];
  const object = asObject(story);
  const passages = object === undefined ? undefined : passagesOf(object);
  if (object === undefined) errors.push("it is not an object");
  else if (passages === undefined || passages.length === 0) errors.push("it has no passages");
  const seen = new Set<string>();
  for (const [index, passage] of (passages ?? []).entries()) {
    const id = asObject(passage)?.id;
    if (id === undefined || id === null || id === "") errors.push(`passage ${index + 1} has no id`);
    else if (seen.has(String(id))) errors.push(`the id ${JSON.stringify(id)} is that of several passages`);
    else seen.add(String(id));
  }
  if (object !== undefined && typeof (asObject(object.metadata)?.title ?? object.title) !== "string") {
    warnings.push("it has no title");
  }
  return { valid: errors.length === 0, errors, warnings };
}

/** 0.9 to 1.0: `name` becomes `title`, and there is a metadata block. */
export function nameToTitle(story: StoryData): StoryData {
  const { name, ...rest } = story;
  const title = rest.title ?? name;
  const metadata = { ...(title === undefined ? {} : { title }), ...asObject(rest.metadata) };
  return { ...rest, ...(title === undefined ? {} : { title }), metadata };
}

/** 1.0 to 2.0: each variable becomes an object with type and default. */
export function typeVariables(story: StoryData): StoryData {
  const { variables } = story;
  if (Array.isArray(variables)) {
    return { ...story, variables: variables.map((one) => (isTyped(one) ? one : typedOfList(one))) };
  }
  const byName = asObject(variables);
  if (byName === undefined) return story;
  const typed = Object.entries(byName).map(([name, value]) => [name, isTyped(value) ? value : toTyped(value)]);
  return { ...story, variables: Object.fromEntries(typed) };
}

/** The story with this version in its metadata. */
export function withVersion(story: StoryData, version: string): StoryData {
  return { ...story, metadata: { ...asObject(story.metadata), version } };
}

function passagesOf({ passages }: StoryData): unknown[] | undefined {
  if (Array.isArray(passages)) return passages;
  // Some editors store passages as an object by id.
  const byId = asObject(passages);
  return byId && Object.entries(byId).map(([id, passage]) => ({ id, ...asObject(passage) }));
}

function variablesOf({ variables }: StoryData): unknown[] {
  return Array.isArray(variables) ? variables : Object.values(asObject(variables) ?? {});
}

function isTyped(variable: unknown): boolean {
  const object = asObject(variable);
  return object !== undefined && "type" in object && "default" in object;
}

function toTyped(value: unknown): { type: string; default: unknown } {
  const type = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
  return { type, default: value };
}

/** `{ name, value }` keeps its name. */
function typedOfList(variable: unknown): unknown {
  const object = asObject(variable);
  if (object === undefined) return toTyped(variable);
  const { value, initial, ...rest } = object;
  return {
    ...rest,
    ...toTyped(object.default ?? value ?? initial ?? null),
    ...(object.type === undefined ? {} : { type: object.type }),
  };
}
