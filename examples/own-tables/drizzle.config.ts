import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "sqlite",
  schema: "./schema.ts",
  out: "./drizzle",
  dbCredentials: { url: process.env.HOLDFAST_URL ?? "file:app.db" },
  // A ledger of its own: __drizzle_migrations is that of Holdfast.
  migrations: { table: "app_migrations" },
});
