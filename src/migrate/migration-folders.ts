import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** The place of one migration of drizzle-kit 1.0, which has a folder for each. */
export interface MigrationFolder {
  /** The name of the folder, as in `20261130192204_add_tags`. */
  readonly tag: string;
  /** The time in the name, in ms. */
  readonly when: number;
  readonly path: string;
  readonly snapshotPath: string;
}

const TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/;

/** The migrations in a folder of drizzle-kit 1.0, in their order; none in a folder of 0.31. */
export function listMigrationFolders(folder: string): MigrationFolder[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, "migration.sql")))
    .map(({ name }) => name)
    .sort((a, b) => a.localeCompare(b))
    .map((tag) => {
      const [year, month, ...rest] = (TIME.exec(tag) ?? []).slice(1).map(Number) as [number, number, ...number[]];
      return {
        tag,
        when: year === undefined ? 0 : Date.UTC(year, month - 1, ...rest),
        path: join(folder, tag, "migration.sql"),
        snapshotPath: join(folder, tag, "snapshot.json"),
      };
    });
}
