import { copyFileSync, existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openStorage, type Storage } from "../src/storage/storage.js";
import type { TrialContext } from "./trial.js";

/**
 * A storage of the trial's own that `fill` has filled. The first that asks for `name` makes the file; the others of the
 * run copy it. Nobody waits for the disk at a commit.
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
    // Without the space that filling left free.
    await storage.client.execute({ sql: "VACUUM INTO ?", args: [`${made}.partial`] });
    await storage.close();
    rmSync(filling);
    renameSync(`${made}.partial`, made);
  }
  const path = join(folder, `${name}.db`);
  copyFileSync(made, path);
  return openStorage({ url: path, durability: "relaxed" });
}
