import { fileURLToPath } from "node:url";
import { getTableName } from "drizzle-orm";
import type { JournalOptions } from "../migrate/index.js";
import { PACKAGE_FOLDER } from "../package-folder.js";
import * as tables from "./index.js";

/** The migrations of this package. */
export const OWN_MIGRATIONS: JournalOptions = {
  folder: fileURLToPath(new URL("drizzle", PACKAGE_FOLDER)),
  ownTables: Object.values(tables).map((table) => getTableName(table)),
};
