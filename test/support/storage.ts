import { openStorage, type Storage, type StorageOptions } from "holdfast";
import { type TempDatabase, tempDatabase } from "./temp.js";

/** A storage in a folder of its own; `await using` closes it and removes the folder. */
export async function tempStorage(
  options: StorageOptions = {},
): Promise<AsyncDisposable & { storage: Storage; db: TempDatabase }> {
  const db = await tempDatabase();
  const storage = await openStorage({ url: db.url, ...options });
  return {
    storage,
    db,
    async [Symbol.asyncDispose]() {
      await storage.close();
      await db[Symbol.asyncDispose]();
    },
  };
}
