import { getTableName } from "drizzle-orm";
import { addOwnTables } from "../client/storage-error.js";
import type { SearchTarget } from "../search/request.js";
import { expectOneOf } from "../shared/expectation.js";
import type { Area, Reader } from "./area.js";
import type { RepositoryContext } from "./context.js";
import { conversationArea } from "./conversations/area.js";
import { graphArea } from "./graph/area.js";
import { memoryArea } from "./memories/area.js";
import { noteMissedIn } from "./search-backlog.js";
import { sessionArea } from "./sessions/area.js";
import { storyArea } from "./stories/area.js";
import { tablesIn } from "./tables.js";

/** In the order in which their rows are counted, and their changes announced. */
export const AREAS = [memoryArea, sessionArea, conversationArea, graphArea, storyArea] as const;

/** The tables that a keyword search reads, of all areas. */
export const SEARCH_TARGETS: readonly SearchTarget[] = AREAS.flatMap(({ searchTargets }) => searchTargets);

/** @see noteMissedIn */
export const noteMissed = noteMissedIn.bind(undefined, SEARCH_TARGETS);

addOwnTables(AREAS.flatMap(({ tables }) => tables.map((table) => getTableName(table))));

type AnyArea = (typeof AREAS)[number];

/** The record types that change events speak of. */
export type ChangeArea = AnyArea["name"];

/** The repositories of one project. */
export type Repositories = { readonly [A in AnyArea as A["name"]]: ReturnType<A["open"]> };

/** In the order in which their records can be stored: records that refer to others come after them. */
const IN_EXPORT_ORDER: readonly Area<ChangeArea>[] = [sessionArea, ...AREAS.filter((area) => area !== sessionArea)];

/** All areas, or the one of this name; throws TypeError on any other. */
export function selectAreas(name: string | undefined): readonly Area<ChangeArea>[] {
  if (name === undefined) return IN_EXPORT_ORDER;
  expectOneOf(
    "area",
    name,
    IN_EXPORT_ORDER.map((area) => area.name),
  );
  return AREAS.filter((area) => area.name === name);
}

/** The areas that the database has tables for. A database of an earlier version may lack some. */
export async function areasIn(
  reader: Reader,
  areas: readonly Area<ChangeArea>[],
): Promise<readonly Area<ChangeArea>[]> {
  const tables = await tablesIn(reader);
  return areas.filter((area) => tables.has(getTableName(area.tables[0])));
}

/** The repositories of all areas, bound to the project and executor of the context. */
export function openRepositories(context: RepositoryContext): Repositories {
  const repositories: Record<string, unknown> = {};
  for (const area of AREAS) repositories[area.name] = area.open(context);
  return repositories as Repositories;
}
