import { fileURLToPath } from "node:url";
import { getTableName } from "drizzle-orm";
import { PACKAGE_FOLDER } from "../package-folder.js";
import * as tables from "./index.js";

/** The migrations of this package. */
export const OWN_MIGRATIONS = {
  folder: fileURLToPath(new URL("drizzle", PACKAGE_FOLDER)),
  ownTables: Object.values(tables).map((table): string => getTableName(table)),
};
