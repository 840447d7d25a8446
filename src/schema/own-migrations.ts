import { getTableName } from "drizzle-orm";
import { HOLDFAST_MIGRATIONS } from "../shared/holdfast-migrations.js";
import * as tables from "./index.js";

/** The migrations of this package, in code, because a bundled program has no folder next to it. */
export const OWN_MIGRATIONS = {
  migrations: HOLDFAST_MIGRATIONS,
  ownTables: Object.values(tables).map((table): string => getTableName(table)),
};
