import { copyFileSync, existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openStorage, type Storage } from "../src/storage/storage.js";
import type { TrialContext } from "./trial.js";

/**
 * Opens a separate storage for the trial, filled by `fill`. The first call for `name` creates the file, and later calls
 * of the run copy it. Commits do not wait for the disk.
 */
export async function openFilled(
  { folder, shared }: TrialContext,
  name: string,
  fill: (storage: Storage) => Promise<void>,
): Promise<Storage> {
  const made = join(shared, `${name}.db`);
  if (!existsSync(made)) {
    const filling = join(folder, "filling.db");
    const storage = await openStorage({ url: filling, durability: "relaxed" });
    await fill(storage);
    // Copies without the free pages that filling left.
    await storage.client.execute({ sql: "VACUUM INTO ?", args: [`${made}.partial`] });
    await storage.close();
    rmSync(filling);
    renameSync(`${made}.partial`, made);
  }
  const path = join(folder, `${name}.db`);
  copyFileSync(made, path);
  return openStorage({ url: path, durability: "relaxed" });
}
