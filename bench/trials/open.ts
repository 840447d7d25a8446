import { join } from "node:path";
import { createClient as createStockClient } from "@libsql/client";
import { createClient } from "../../src/client/index.js";
import { openStorage } from "../../src/storage/storage.js";
import { openHoldfast, openStock } from "../databases.js";
import { millis, type Trial } from "../trial.js";

const READ = "SELECT name FROM items WHERE id = 1";

export const openClient: Trial = {
  title: "open an existing file and read one row",
  unit: "ms",
  contenders: {
    holdfast: async ({ folder }) => {
      await (await openHoldfast(folder, 100)).close();
      return millis(() => createClient({ url: `file:${join(folder, "holdfast.db")}` }).execute(READ));
    },
    "stock client": async ({ folder }) => {
      (await openStock(folder, 100)).close();
      return millis(() => createStockClient({ url: `file:${join(folder, "stock.db")}` }).execute(READ));
    },
  },
};

export const openStorages: Trial = {
  title: "openStorage: an existing file, and a new one with its migrations",
  unit: "ms",
  isCases: true,
  contenders: {
    existing: async ({ folder }) => {
      const path = join(folder, "storage.db");
      await (await openStorage(path)).close();
      return millis(() => openStorage(path));
    },
    new: ({ folder }) => millis(() => openStorage(join(folder, "storage.db"))),
  },
};
