import { type SQL, sql } from "drizzle-orm";
import { graphLabels } from "../../schema/graph.js";
import { expectObject, expectText } from "../../shared/expectation.js";
import { expectKeys } from "../../shared/known-keys.js";
import { expectId } from "../arguments.js";
import { type Bounds, isBounds, jsonEquals, jsonWithin, parsePath } from "../json-condition.js";

/** Which nodes; all conditions must hold. */
export interface GraphNodeFilter {
  /** The kind of the node. */
  readonly kind?: string | undefined;
  /** The whole name, case included. */
  readonly name?: string | undefined;
  /** Compared exactly, case included. */
  readonly namePrefix?: string | undefined;
  /** A label that the node has. */
  readonly label?: string | undefined;
  /**
   * Values in the data, by path: `"size"`, `"owner.name"`, `"tags.0"`; a dot within a key is written `\.`. Either the
   * value that must be there, of the same type, or bounds. An object other than bounds is compared as a whole: with
   * `{ lines: { min: 5 } }`, `lines` must be exactly that object.
   */
  readonly where?: GraphWhere | undefined;
}

/** Conditions on the data of a node, by path. */
export type GraphWhere = Readonly<Record<string, unknown | Bounds>>;

const NODE_FILTER_KEYS = ["kind", "name", "namePrefix", "label", "where"] as const;

/** The conditions of a filter on the nodes of a project; `nodes` is the alias of the table in the query. */
export function nodeConditions(
  project: string,
  filter: GraphNodeFilter & { readonly id?: string | undefined },
  nodes: SQL,
): SQL[] {
  const { id, kind, name, namePrefix, label, where } = filter;
  const conditions = [sql`${nodes}.project = ${project}`];
  if (id !== undefined) {
    expectId(id);
    conditions.push(sql`${nodes}.id = ${id}`);
  }
  for (const [key, text] of Object.entries({ kind, name, namePrefix, label })) {
    if (text !== undefined) expectText(key, text, Number.POSITIVE_INFINITY, 0);
  }
  if (kind !== undefined) conditions.push(sql`${nodes}.kind = ${kind}`);
  if (name !== undefined) conditions.push(sql`${nodes}.name = ${name}`);
  if (namePrefix !== undefined) {
    conditions.push(sql`${nodes}.name >= ${namePrefix}`);
    const end = endOfPrefix(namePrefix);
    if (end !== undefined) conditions.push(sql`${nodes}.name < ${end}`);
  }
  if (label !== undefined) {
    conditions.push(sql`${nodes}.row_id in (select ${graphLabels.nodeRow} from ${graphLabels}
      where ${graphLabels.project} = ${project} and ${graphLabels.label} = ${label})`);
  }
  if (where !== undefined) {
    expectObject("where", where);
    for (const [path, value] of Object.entries(where)) conditions.push(whereCondition(nodes, path, value));
  }
  return conditions;
}

/** Throws TypeError unless `value` is an object of known filters. */
export function expectNodeFilter(name: string, value: unknown, more: readonly string[]): void {
  expectKeys(name, value, [...NODE_FILTER_KEYS, ...more]);
}

function whereCondition(nodes: SQL, path: string, value: unknown): SQL {
  expectText("where", path, Number.POSITIVE_INFINITY, 0);
  const name = `where.${path}`;
  const document = sql`${nodes}.data`;
  if (isBounds(name, value)) return jsonWithin(document, parsePath(path), name, value);
  return jsonEquals(document, parsePath(path), name, value);
}

/** The first text after all that start with `prefix`; undefined where there is none. */
function endOfPrefix(prefix: string): string | undefined {
  const points = Array.from(prefix, (character) => character.codePointAt(0)!);
  while (points.at(-1) === 0x10ffff) points.pop();
  const last = points.pop();
  if (last === undefined) return undefined;
  // Surrogates are not characters.
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
}
